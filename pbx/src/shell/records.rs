//! Call records on disk: exactly one JSON line a call, also for calls that were up when the PBX was killed.
//!
//! Beside the file of records stands a journal. An answered call is written to the journal at once; when it has ended,
//! its record goes to the file, and only when that is safe the journal is told. So at the next start every call that the
//! journal knows and the file does not was cut off: it gets the record that the journal kept ([`journal::recover`]). A crash
//! between any two of these steps, also of the recovery itself, leaves a state from which the same rule finds the same
//! answer, because the file is asked first.
//!
//! Writing is a task of its own with a bounded queue: a slow disk never holds up a call.

use super::host::{Disk, Host};
use super::journal;
use super::timer::{self, Deadline, sleep_until};
use crate::buggify::buggify;
use crate::cdr::Record;
use crate::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Records and journal entries that wait for the disk.
const QUEUE: usize = 16_384;
/// Bytes of records that are kept for another try while the disk refuses them.
const RETRY_BYTES: usize = 16 << 20;
/// How often what was written is made to outlast a crash of the machine.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// How long a disk takes that a simulated world makes slow.
const SLOW: Duration = Duration::from_millis(300);
/// A journal longer than this, or records longer than this since the journal began, begin a new journal.
const JOURNAL_BYTES: u64 = 4 << 20;
/// How long the last records may take at the end.
const FINISH_LIMIT: Duration = Duration::from_secs(10);

/// What has become of the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) written: u64,
    pub(super) dropped: u64,
}

/// The driver's end: takes records and returns at once.
pub(super) struct Queue {
    entries: Option<mpsc::Sender<Entry>>,
    done: Option<oneshot::Receiver<()>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    written: AtomicU64,
    dropped: AtomicU64,
}

enum Entry {
    /// The call is over.
    Ended(Arc<Record>),
    /// The call is up; what it leaves behind if we are killed.
    Up(Box<Record>),
}

impl Queue {
    /// No records are kept.
    pub(super) fn nowhere() -> Queue {
        Queue { entries: None, done: None, shared: Arc::default() }
    }

    /// Starts writing to `file`, which [`journal::recover`] has put in order.
    pub(super) fn start<H: Host>(host: &H, file: PathBuf) -> Queue {
        let (entries, queued) = mpsc::channel(QUEUE);
        let (finished, done) = oneshot::channel();
        let shared = Arc::<Shared>::default();
        let writer = Writer::new(host.disk(), file, shared.clone());
        host.spawn(async move {
            writer.run(queued).await;
            let _ = finished.send(());
        });
        Queue { entries: Some(entries), done: Some(done), shared }
    }

    pub(super) fn write(&mut self, record: Arc<Record>) {
        self.put(Entry::Ended(record));
    }

    pub(super) fn journal(&mut self, record: Box<Record>) {
        self.put(Entry::Up(record));
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            written: self.shared.written.load(Ordering::Relaxed),
            dropped: self.shared.dropped.load(Ordering::Relaxed),
        }
    }

    /// Waits until everything is on disk, or the disk has had its time.
    pub(super) async fn finish(mut self) {
        self.entries = None;
        if let Some(done) = self.done.take()
            && timer::timeout(FINISH_LIMIT, done).await.is_err()
        {
            tracing::error!("call records: the disk did not take the last ones in time");
        }
    }

    fn put(&mut self, entry: Entry) {
        let Some(entries) = &self.entries else { return };
        if entries.try_send(entry).is_err() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The task that writes.
struct Writer<D> {
    disk: D,
    file: PathBuf,
    journal: PathBuf,
    /// The journal's lines of the calls that are up.
    up: BTreeMap<String, Vec<u8>>,
    /// Calls whose record is in the file and whose journal entry is still open.
    ended: Vec<String>,
    /// Records the disk has refused so far.
    refused: Refused,
    /// Whether the disk refused the last ones: that is said once, not for every call.
    is_refused: bool,
    journal_bytes: u64,
    /// Bytes of records since the journal began.
    record_bytes: u64,
    sync_at: Option<Deadline>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Refused {
    bytes: Vec<u8>,
    calls: Vec<String>,
}

impl<D: Disk> Writer<D> {
    fn new(disk: D, file: PathBuf, shared: Arc<Shared>) -> Writer<D> {
        let journal = journal::journal_of(&file);
        Writer {
            disk,
            file,
            journal,
            up: BTreeMap::new(),
            ended: Vec::new(),
            refused: Refused::default(),
            is_refused: false,
            journal_bytes: 0,
            record_bytes: 0,
            sync_at: None,
            shared,
        }
    }

    async fn run(mut self, mut queued: mpsc::Receiver<Entry>) {
        let mut batch = Vec::new();
        loop {
            let wake = self.sync_at;
            tokio::select! {
                biased;
                count = queued.recv_many(&mut batch, 256) => match count {
                    0 => break,
                    _ => self.write(batch.drain(..)).await,
                },
                () = sleep_until(wake) => self.settle().await,
            }
        }
        self.settle().await;
        // As long as the journal does not know of all records in the file, the old one must stand.
        if self.ended.is_empty()
            && let Err(error) = self.begin_journal().await
        {
            tracing::error!(file = %self.journal.display(), %error, "journal not closed");
        }
    }

    async fn write(&mut self, batch: impl Iterator<Item = Entry>) {
        let mut up = BTreeMap::new();
        let mut records = std::mem::take(&mut self.refused);
        for entry in batch {
            match entry {
                Entry::Up(record) => {
                    up.insert(record.call_id.clone(), journal::up(&record));
                }
                Entry::Ended(record) => {
                    // A call that came and went within one batch never needs the journal.
                    up.remove(&record.call_id);
                    records.bytes.extend(journal::line(&*record));
                    records.calls.push(record.call_id.clone());
                }
            }
        }
        self.append_journal(up.values().flatten().copied().collect()).await;
        self.up.append(&mut up);
        self.append_records(records).await;
        self.sync_at.get_or_insert_with(|| Deadline::now() + SYNC_EVERY);
    }

    async fn append_records(&mut self, records: Refused) {
        if records.calls.is_empty() {
            return;
        }
        if buggify!("the disk is slow") {
            timer::sleep(SLOW).await;
        }
        let written = match buggify!("the disk refuses") {
            true => Err(std::io::Error::other("the disk refuses")),
            false => self.disk.append(&self.file, records.bytes.clone()).await,
        };
        match written {
            Ok(()) => {
                self.is_refused = false;
                self.record_bytes += records.bytes.len() as u64;
                self.shared.written.fetch_add(records.calls.len() as u64, Ordering::Relaxed);
                self.ended.extend(records.calls);
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_refused, true) {
                    tracing::error!(file = %self.file.display(), %error, "call records not written, they are tried again");
                }
                self.refuse(records);
            }
        }
    }

    /// Keeps records for another try, as long as they fit.
    fn refuse(&mut self, records: Refused) {
        if records.bytes.len() <= RETRY_BYTES {
            self.refused = records;
        } else {
            self.shared.dropped.fetch_add(records.calls.len() as u64, Ordering::Relaxed);
            tracing::error!(count = records.calls.len(), "call records given up");
        }
    }

    async fn append_journal(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len() as u64;
        match self.disk.append(&self.journal, bytes).await {
            Ok(()) => self.journal_bytes += length,
            Err(error) => tracing::error!(file = %self.journal.display(), %error, "journal not written"),
        }
    }

    /// Makes what was written outlast a crash: first the records, then the journal's word that they are there.
    async fn settle(&mut self) {
        self.sync_at = None;
        let refused = std::mem::take(&mut self.refused);
        self.append_records(refused).await;
        if let Err(error) = self.sync().await {
            tracing::error!(file = %self.file.display(), %error, "call records not synced");
        }
        if !self.refused.calls.is_empty() {
            self.sync_at = Some(Deadline::now() + SYNC_EVERY);
        }
    }

    async fn sync(&mut self) -> io::Result<()> {
        if !self.ended.is_empty() {
            self.disk.sync(&self.file).await?;
        }
        let mut lines = Vec::new();
        for call in std::mem::take(&mut self.ended) {
            if self.up.remove(&call).is_some() {
                lines.extend(journal::ended(&call));
            }
        }
        self.append_journal(lines).await;
        if self.journal_bytes > JOURNAL_BYTES || self.record_bytes > JOURNAL_BYTES {
            return self.begin_journal().await;
        }
        if self.journal_bytes > 0 {
            self.disk.sync(&self.journal).await?;
        }
        Ok(())
    }

    /// A journal of the calls that are up and nothing else.
    async fn begin_journal(&mut self) -> io::Result<()> {
        let mut bytes = journal::header(journal::length_of(&self.disk, &self.file).await?);
        self.up.values().for_each(|line| bytes.extend(line));
        // Records that are not in the file yet stand behind the header's mark when they get there.
        self.journal_bytes = bytes.len() as u64;
        self.record_bytes = 0;
        self.disk.replace(&self.journal, bytes).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cdr::Disposition;
    use crate::shell::journal::{Recovered, recover};
    use crate::shell::test_host::{RECORDS as FILE, TestHost, calls_in, record};
    use std::path::Path;

    const JOURNAL: &str = "calls.json.journal";

    #[tokio::test(start_paused = true)]
    async fn a_record_is_one_line() {
        let host = TestHost::new();
        let mut queue = Queue::start(&host, FILE.into());

        queue.write(Arc::new(record("a", Disposition::Busy)));
        queue.write(Arc::new(record("b", Disposition::Answered)));
        queue.finish().await;

        assert_eq!(calls_in(&host.disk), ["a busy", "b answered"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_was_up_when_we_were_killed_gets_its_record_once() {
        let host = TestHost::new();
        recover(&host.disk, Path::new(FILE)).await.expect("a fresh disk");
        let mut queue = Queue::start(&host, FILE.into());
        queue.journal(Box::new(record("cut", Disposition::Interrupted)));
        queue.journal(Box::new(record("whole", Disposition::Interrupted)));
        settle().await;
        queue.write(Arc::new(record("whole", Disposition::Answered)));
        tokio::task::yield_now().await;

        // Killed: the writer does not get to say anything more.
        let left = host.disk.clone();
        let recovered = recover(&left, Path::new(FILE)).await.expect("the disk works");
        assert_eq!(recovered.interrupted, 1);
        assert_eq!(calls_in(&left), ["whole answered", "cut interrupted"]);

        let again = recover(&left, Path::new(FILE)).await.expect("the disk works");
        assert_eq!(again, Recovered::default(), "the second start finds nothing to do");
    }

    #[tokio::test(start_paused = true)]
    async fn a_crash_at_any_write_of_a_run_loses_and_doubles_nothing() {
        let undisturbed = run_until(None).await;
        assert!(undisturbed > 5, "the run writes often enough to be disturbed");
        for stop in 0..undisturbed {
            run_until(Some(stop)).await;
        }
    }

    /// Three calls; the machine stops after so many writes, starts again, and every call that it had been told of before
    /// it stopped has exactly one record. Returns how often was written.
    async fn run_until(stop: Option<usize>) -> usize {
        let host = TestHost::new();
        host.disk.stop_after(stop);
        let _ = recover(&host.disk, Path::new(FILE)).await;
        let mut queue = Queue::start(&host, FILE.into());
        let mut known = Vec::new();
        for call in ["a", "b", "c"] {
            queue.journal(Box::new(record(call, Disposition::Interrupted)));
            settle().await;
            if host
                .disk
                .text(JOURNAL)
                .lines()
                .any(|line| line.contains(&format!("\"{call}\"")) && line.ends_with("}}"))
            {
                known.push(call);
            }
            queue.write(Arc::new(record(call, Disposition::Answered)));
            settle().await;
        }
        let writes = host.disk.writes();

        host.disk.stop_after(None);
        let after = TestHost::new();
        after.disk.put(FILE, &host.disk.text(FILE));
        after.disk.put(JOURNAL, &host.disk.text(JOURNAL));
        recover(&after.disk, Path::new(FILE)).await.expect("the disk works again");
        let recorded = calls_in(&after.disk);
        for call in known {
            let count = recorded.iter().filter(|line| line.starts_with(call)).count();
            assert_eq!(count, 1, "call {call}, stopped after {stop:?} writes: {recorded:?}");
        }
        writes
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_disk_gets_the_records_when_it_has_room_again() {
        let host = TestHost::new();
        let mut queue = Queue::start(&host, FILE.into());
        host.disk.fill(true);
        queue.write(Arc::new(record("a", Disposition::Answered)));
        settle().await;
        assert_eq!(queue.counts(), Counts { written: 0, dropped: 0 });

        host.disk.fill(false);
        settle().await;

        assert_eq!(queue.counts(), Counts { written: 1, dropped: 0 });
        assert_eq!(calls_in(&host.disk), ["a answered"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_queue_cannot_take_is_counted() {
        let host = TestHost::new();
        let mut queue = Queue::start(&host, FILE.into());
        for _ in 0..QUEUE + 3 {
            queue.write(Arc::new(record("a", Disposition::Answered)));
        }
        assert_eq!(queue.counts().dropped, 3);
    }

    /// Long enough for the writer to write and to sync.
    async fn settle() {
        tokio::time::sleep(SYNC_EVERY * 3).await;
    }
}
