//! Recordings on disk: WAV files that are whole at every moment.
//!
//! A file begins with the header of a recording of nothing. Samples are put behind it and made safe; only then the header
//! says that they are there. So whenever the program is killed, or the machine loses its power, what the header says is in
//! the file, and every reader takes it.
//!
//! Writing is a task of its own with a bounded queue: a slow disk never holds up a call. What the queue has no room for is
//! missing for good, so that recording ends there, and the core is told.

use super::host::{Disk, Host};
use super::streams::Arrival;
use super::timer;
use crate::audio::NARROWBAND;
use crate::audio::recording::{HEADER, header};
use crate::media::RecordingId;
use crate::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use tokio::sync::{mpsc, oneshot};

/// Portions of all recordings that wait for the disk: two seconds each.
const QUEUE: usize = 1024;
/// How long the last portions may take at the end.
const FINISH_LIMIT: Duration = Duration::from_secs(10);
/// Bytes of samples that a WAV file can hold.
const LARGEST: usize = u32::MAX as usize - HEADER;

/// The driver's end: takes samples and returns at once.
pub(super) struct Recordings {
    entries: Option<mpsc::Sender<Entry>>,
    done: Option<oneshot::Receiver<()>>,
    /// Those that are being written; what found no room is not among them.
    open: BTreeMap<RecordingId, ()>,
}

enum Entry {
    Open { recording: RecordingId, file: PathBuf, channels: u16 },
    Samples { recording: RecordingId, samples: Vec<u8> },
    Close(RecordingId),
    Save { file: PathBuf, bytes: Vec<u8> },
    Remove(Vec<PathBuf>),
}

impl Recordings {
    /// Starts the task that writes; what goes wrong it tells by `arrive`.
    pub(super) fn start<H: Host>(host: &H, arrive: mpsc::Sender<Arrival<H::Stream>>) -> Recordings {
        let (entries, queued) = mpsc::channel(QUEUE);
        let (finished, done) = oneshot::channel();
        let disk = host.disk();
        host.spawn(async move {
            write_all(disk, queued, arrive).await;
            let _ = finished.send(());
        });
        Recordings { entries: Some(entries), done: Some(done), open: BTreeMap::new() }
    }

    /// Another recording begins. `Err`: there is no room for it.
    pub(super) fn open(
        &mut self,
        recording: RecordingId,
        file: PathBuf,
        channels: u16,
    ) -> Result<(), String> {
        self.put(Entry::Open { recording, file, channels })?;
        self.open.insert(recording, ());
        Ok(())
    }

    /// What was said. `Err`: the disk is too slow, and the recording has ended.
    pub(super) fn write(&mut self, recording: RecordingId, samples: Vec<u8>) -> Result<(), String> {
        if !self.open.contains_key(&recording) {
            return Ok(());
        }
        self.put(Entry::Samples { recording, samples }).inspect_err(|_| {
            self.open.remove(&recording);
        })
    }

    /// Nothing more comes of it.
    pub(super) fn close(&mut self, recording: RecordingId) {
        self.open.remove(&recording);
        // Where there is no room, its file is whole without this.
        let _ = self.put(Entry::Close(recording));
    }

    /// A file in the place of the old one, behind what was recorded before.
    pub(super) fn save(&self, file: PathBuf, bytes: Vec<u8>) {
        self.put_or_complain(Entry::Save { file, bytes });
    }

    /// These files go, behind what was recorded before.
    pub(super) fn remove(&self, files: Vec<PathBuf>) {
        self.put_or_complain(Entry::Remove(files));
    }

    /// Waits until everything is on disk, or the disk has had its time.
    pub(super) async fn finish(mut self) {
        self.entries = None;
        if let Some(done) = self.done.take()
            && timer::timeout(FINISH_LIMIT, done).await.is_err()
        {
            tracing::error!("recordings: the disk did not take the last ones in time");
        }
    }

    fn put_or_complain(&self, entry: Entry) {
        if let Err(reason) = self.put(entry) {
            tracing::error!(reason, "messages: the disk does not take what is known of one");
        }
    }

    fn put(&self, entry: Entry) -> Result<(), String> {
        let Some(entries) = &self.entries else { return Ok(()) };
        entries.try_send(entry).map_err(|_| "the disk is too slow".to_owned())
    }
}

/// A file that is being written.
struct Open {
    file: PathBuf,
    channels: u16,
    /// Bytes of samples in it.
    length: usize,
}

async fn write_all<D: Disk, S>(disk: D, mut queued: mpsc::Receiver<Entry>, arrive: mpsc::Sender<Arrival<S>>) {
    let mut open: BTreeMap<RecordingId, Open> = BTreeMap::new();
    while let Some(entry) = queued.recv().await {
        let (recording, written) = match entry {
            Entry::Open { recording, file, channels } => {
                let begun = begin(&disk, &file, channels).await;
                open.insert(recording, Open { file, channels, length: 0 });
                (recording, begun)
            }
            Entry::Samples { recording, samples } => match open.get_mut(&recording) {
                Some(open) => (recording, open.write(&disk, samples).await),
                None => continue,
            },
            Entry::Close(recording) => {
                open.remove(&recording);
                continue;
            }
            Entry::Save { file, bytes } => {
                if let Err(error) = disk.replace(&file, bytes).await {
                    tracing::error!(file = %file.display(), %error, "messages: the disk refuses a file");
                }
                continue;
            }
            Entry::Remove(files) => {
                for file in files {
                    // What is not there need not be removed.
                    let _ = disk.remove(&file).await;
                }
                continue;
            }
        };
        if let Err(error) = written {
            open.remove(&recording);
            let failed = Arrival::RecordingFailed { recording, reason: error.to_string() };
            // The driver may have ended.
            let _ = arrive.send(failed).await;
        }
    }
}

async fn begin<D: Disk>(disk: &D, file: &std::path::Path, channels: u16) -> io::Result<()> {
    disk.replace(file, header(channels, NARROWBAND, 0).to_vec()).await
}

impl Open {
    async fn write<D: Disk>(&mut self, disk: &D, samples: Vec<u8>) -> io::Result<()> {
        let length = self.length + samples.len();
        if length > LARGEST {
            return Err(io::Error::other("it is as long as a WAV file can be"));
        }
        disk.append(&self.file, samples).await?;
        disk.sync(&self.file).await?;
        self.length = length;
        disk.overwrite(&self.file, 0, header(self.channels, NARROWBAND, length as u32).to_vec()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::recording::Recording;
    use crate::shell::test_host::TestHost;
    use std::path::Path;

    #[tokio::test]
    async fn a_recording_is_whole_after_every_write() {
        let disk = TestHost::new().disk;
        let file = Path::new("a.wav");
        begin(&disk, file, 2).await.expect("the disk works");
        let mut open = Open { file: file.into(), channels: 2, length: 0 };
        for portion in 1..5usize {
            open.write(&disk, vec![portion as u8; 6_400]).await.expect("the disk works");
            let bytes = disk.read(file, 0).await.expect("it is there");
            let recording = Recording::read(&bytes).expect("it is whole");
            assert_eq!((recording.channels.len(), recording.length()), (2, portion * 1_600));
        }
    }

    #[tokio::test]
    async fn samples_without_their_header_are_not_there_yet() {
        let disk = TestHost::new().disk;
        let file = Path::new("a.wav");
        begin(&disk, file, 1).await.expect("the disk works");
        let mut open = Open { file: file.into(), channels: 1, length: 0 };
        open.write(&disk, vec![1; 640]).await.expect("the disk works");
        // Killed between the samples and the header.
        disk.append(file, vec![2; 640]).await.expect("the disk works");
        let recording =
            Recording::read(&disk.read(file, 0).await.expect("it is there")).expect("it is whole");
        assert_eq!(recording.length(), 320);
    }

    #[tokio::test]
    async fn a_full_disk_is_told() {
        let host = TestHost::new();
        let (arrive, mut arrivals) = mpsc::channel(4);
        let mut recordings = Recordings::start(&host, arrive);
        recordings.open(RecordingId(3), "a.wav".into(), 1).expect("there is room");
        recordings.write(RecordingId(3), vec![0; 640]).expect("there is room");
        tokio::task::yield_now().await;
        host.disk.fill(true);
        recordings.write(RecordingId(3), vec![0; 640]).expect("there is room");
        let told = arrivals.recv().await;
        assert!(
            matches!(told, Some(Arrival::RecordingFailed { recording: RecordingId(3), .. })),
            "it is told"
        );
        recordings.finish().await;
    }
}
