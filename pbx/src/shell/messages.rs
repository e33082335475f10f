//! The messages that were left, read from the disk at the start.

use super::host::Disk;
use crate::boundary::StoredMessage;
use std::io;
use std::path::Path;

/// The largest JSON file of a message that is read.
const LARGEST: u64 = 64 << 10;
/// Messages that are read.
const MOST: usize = 100_000;

/// All messages in a directory: each JSON file there, with the WAV file beside it.
pub(super) async fn list<D: Disk>(disk: &D, directory: &Path) -> io::Result<Vec<StoredMessage>> {
    let mut messages = Vec::new();
    let names = disk.list(directory).await?;
    for name in names.iter().filter_map(|name| name.strip_suffix(".json")).take(MOST) {
        let json = directory.join(format!("{name}.json"));
        if disk.length(&json).await.is_ok_and(|length| length <= LARGEST)
            && let Ok(bytes) = disk.read(&json, 0).await
            && let Ok(about) = String::from_utf8(bytes)
        {
            let wav_bytes = disk.length(&directory.join(format!("{name}.wav"))).await.unwrap_or(0);
            messages.push(StoredMessage { name: name.to_owned(), about, wav_bytes });
        }
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::test_host::TestHost;

    #[tokio::test]
    async fn a_message_is_a_json_file_and_a_wav_file() {
        let disk = TestHost::new().disk;
        for (file, text) in
            [("box/a.json", "{}"), ("box/a.wav", "RIFF"), ("box/b.wav", "x"), ("c.json", "{}")]
        {
            disk.put(file, text);
        }
        let found = list(&disk, Path::new("box")).await.expect("the disk works");
        assert_eq!(found, [StoredMessage { name: "a".into(), about: "{}".into(), wav_bytes: 4 }]);
    }
}
