//! Sounds that calls play are read from the disk and made ready here, portion by portion, so that no call waits for them.

use super::host::Disk;
use super::timer;
use crate::audio::recording::Recording;
use crate::audio::{Clip, Conversion};
use crate::time::Duration;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The largest file that is read: half an hour of 8000 samples a second, three minutes of a studio's.
const LARGEST: u64 = 32 << 20;
/// How long the disk may take.
const LIMIT: Duration = Duration::from_secs(5);
/// Portions that are converted between two turns of the others.
const PORTIONS_A_TURN: usize = 4;

/// The sound in a file, or why there is none.
pub(super) async fn read<D: Disk>(disk: &D, file: &Path) -> Result<Arc<Clip>, String> {
    let bytes = timer::timeout(LIMIT, bytes_of(disk, file));
    let bytes =
        bytes.await.map_err(|_| format!("the disk has not answered within {} s", LIMIT.as_secs()))??;
    let recording = Recording::read(&bytes).map_err(|error| error.to_string())?;
    drop(bytes);
    tokio::task::yield_now().await;
    let mut conversion = Conversion::new(recording);
    let mut portions = 0;
    while !conversion.go_on() {
        portions += 1;
        if portions % PORTIONS_A_TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(Arc::new(conversion.finish()))
}

async fn bytes_of<D: Disk>(disk: &D, file: &Path) -> Result<Vec<u8>, String> {
    let length = disk.length(file).await.map_err(|error| why(&error))?;
    if length > LARGEST {
        return Err(format!("it has {length} bytes, and more than {LARGEST} are not played"));
    }
    disk.read(file, 0).await.map_err(|error| why(&error))
}

fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::test_host::TestHost;

    #[tokio::test]
    async fn what_cannot_be_played_is_said_with_the_reason() {
        let disk = TestHost::new().disk;
        disk.put("text.wav", "no sound");
        disk.put("huge.wav", &"x".repeat(LARGEST as usize + 1));
        for (file, reason) in [
            ("nowhere.wav", "there is no such file"),
            ("text.wav", "byte 0: this is no WAV file: it does not begin with RIFF ... WAVE"),
            ("huge.wav", "it has 33554433 bytes, and more than 33554432 are not played"),
        ] {
            assert_eq!(read(&disk, Path::new(file)).await, Err(reason.to_owned()));
        }
    }
}
