//! Files that survive a crash as on a real disk: what was synced is there, of what was only written a part may be.

use crate::dice::Dice;
use pbx::shell::host::Disk;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The disk of one host; clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    files: Arc<Mutex<BTreeMap<PathBuf, File>>>,
    dice: Dice,
}

#[derive(Clone, Debug, Default)]
struct File {
    bytes: Vec<u8>,
    /// So many of them outlast a crash of the machine for certain.
    synced: usize,
}

impl SimDisk {
    /// An empty disk.
    pub fn new(dice: Dice) -> SimDisk {
        SimDisk { files: Arc::default(), dice }
    }

    /// The machine loses its power: of what was not synced a drawn part is left, cut off anywhere.
    pub fn crash(&self, crashes: u64) {
        for (number, file) in self.files().values_mut().enumerate() {
            let unsynced = file.bytes.len() - file.synced;
            let left = self.dice.at(crashes).at(number as u64).below(unsynced as u64 + 1);
            file.bytes.truncate(file.synced + left as usize);
            file.synced = file.bytes.len();
        }
    }

    /// What is in a file, as somebody sees it who mounts the disk; `None` where there is none.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        self.files().get(path).map(|file| file.bytes.clone())
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<PathBuf, File>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for SimDisk {
    async fn read(&self, path: &Path, offset: u64) -> io::Result<Vec<u8>> {
        let files = self.files();
        let file = files.get(path).ok_or(io::ErrorKind::NotFound)?;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(file.bytes.len());
        Ok(file.bytes[offset..].to_vec())
    }

    async fn length(&self, path: &Path) -> io::Result<u64> {
        Ok(self.files().get(path).ok_or(io::ErrorKind::NotFound)?.bytes.len() as u64)
    }

    async fn append(&self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        self.files().entry(path.to_owned()).or_default().bytes.extend(bytes);
        Ok(())
    }

    async fn overwrite(&self, path: &Path, offset: u64, bytes: Vec<u8>) -> io::Result<()> {
        let mut files = self.files();
        let file = &mut files.get_mut(path).ok_or(io::ErrorKind::NotFound)?.bytes;
        let from = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let end = from + bytes.len();
        file.resize(file.len().max(end), 0);
        file[from..end].copy_from_slice(&bytes);
        Ok(())
    }

    async fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let mut files = self.files();
        let file = files.get_mut(path).ok_or(io::ErrorKind::NotFound)?;
        file.bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        file.synced = file.synced.min(file.bytes.len());
        Ok(())
    }

    async fn replace(&self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        let synced = bytes.len();
        self.files().insert(path.to_owned(), File { bytes, synced });
        Ok(())
    }

    async fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let files = self.files();
        let within = files.keys().filter(|path| path.parent() == Some(directory));
        Ok(within.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        self.files().remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    async fn sync(&self, path: &Path) -> io::Result<()> {
        let mut files = self.files();
        let file = files.get_mut(path).ok_or(io::ErrorKind::NotFound)?;
        file.synced = file.bytes.len();
        Ok(())
    }
}
