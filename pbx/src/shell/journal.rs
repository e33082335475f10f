//! What outlasts a kill: the journal of the calls that are up, and the repair of the records at the next start.
//!
//! The journal is lines of JSON beside the file of records: first where in that file its time begins, then `up` with the
//! record a call would leave behind, and `ended` when the call's own record is safe.

use super::host::Disk;
use crate::cdr::Record;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// How far back a torn last line is looked for where no journal says where to begin.
const TAIL_BYTES: u64 = 1 << 20;

/// What [`recover`] found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Recovered {
    /// Calls that were up when the last run was killed; they have their record now.
    pub(super) interrupted: usize,
    /// Bytes of a record that was cut off in the middle.
    pub(super) torn_bytes: u64,
}

/// Puts the file of records in order after whatever has happened to the last run, and begins a new journal.
pub(super) async fn recover<D: Disk>(disk: &D, file: &Path) -> io::Result<Recovered> {
    let journal = Journal::parse(&read_or_nothing(disk, &journal_of(file), 0).await?);
    let length = length_of(disk, file).await?;
    let from = match journal.records_from {
        Some(from) if from <= length => from,
        // The file was rotated or cut: look at all of it.
        Some(_) => 0,
        None => length.saturating_sub(TAIL_BYTES),
    };
    let tail = read_or_nothing(disk, file, from).await?;

    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let torn_bytes = (tail.len() - whole) as u64;
    if torn_bytes > 0 {
        disk.truncate(file, from + whole as u64).await?;
    }

    let written = calls_of(&tail[..whole]);
    let missing: Vec<&Vec<u8>> =
        journal.up.iter().filter(|(call, _)| !written.contains(*call)).map(|(_, record)| record).collect();
    if !missing.is_empty() {
        disk.append(file, missing.iter().flat_map(|record| record.iter().copied()).collect()).await?;
        disk.sync(file).await?;
    }
    // Only now is the old journal not needed any longer.
    disk.replace(&journal_of(file), header(length_of(disk, file).await?)).await?;
    Ok(Recovered { interrupted: missing.len(), torn_bytes })
}

/// What the last run has left.
#[derive(Default)]
struct Journal {
    /// Where the records since the journal's begin are in the file.
    records_from: Option<u64>,
    /// The lines to write for the calls that were up.
    up: BTreeMap<String, Vec<u8>>,
}

#[derive(Serialize)]
struct HeaderLine {
    records_from: u64,
}

#[derive(Serialize)]
struct UpLine<'a> {
    up: &'a Record,
}

#[derive(Serialize)]
struct EndedLine<'a> {
    ended: &'a str,
}

/// Any of the three.
#[derive(Deserialize)]
struct JournalLine {
    records_from: Option<u64>,
    up: Option<Box<serde_json::value::RawValue>>,
    ended: Option<String>,
}

#[derive(Deserialize)]
struct CallId<'a> {
    #[serde(borrow)]
    call_id: Cow<'a, str>,
}

impl Journal {
    /// A line that is not whole is the last one, of the moment of the crash: it is as if it had not been written.
    fn parse(bytes: &[u8]) -> Journal {
        let mut journal = Journal::default();
        for text in bytes.split(|byte| *byte == b'\n') {
            let Ok(entry) = serde_json::from_slice::<JournalLine>(text) else { continue };
            journal.records_from = journal.records_from.or(entry.records_from);
            if let Some(record) = entry.up
                && let Ok(CallId { call_id }) = serde_json::from_str(record.get())
            {
                let mut line = record.get().as_bytes().to_vec();
                line.push(b'\n');
                journal.up.insert(call_id.into_owned(), line);
            }
            if let Some(call) = entry.ended {
                journal.up.remove(&call);
            }
        }
        journal
    }
}

fn calls_of(records: &[u8]) -> BTreeSet<String> {
    records
        .split(|byte| *byte == b'\n')
        .filter_map(|text| serde_json::from_slice::<CallId>(text).ok())
        .map(|CallId { call_id }| call_id.into_owned())
        .collect()
}

/// The first line of a journal that begins when the file of records is so long.
pub(super) fn header(records_from: u64) -> Vec<u8> {
    line(&HeaderLine { records_from })
}

/// The line of a call that is up.
pub(super) fn up(record: &Record) -> Vec<u8> {
    line(&UpLine { up: record })
}

/// The line of a call whose record is safe.
pub(super) fn ended(call: &str) -> Vec<u8> {
    line(&EndedLine { ended: call })
}

/// One line of JSON.
pub(super) fn line(value: &impl Serialize) -> Vec<u8> {
    let mut line =
        serde_json::to_vec(value).expect("a record has only string keys and finite numbers become null");
    line.push(b'\n');
    line
}

/// `calls.json.journal` for `calls.json`.
pub(super) fn journal_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".journal");
    PathBuf::from(name)
}

/// How long the file is; 0 where there is none.
pub(super) async fn length_of<D: Disk>(disk: &D, file: &Path) -> io::Result<u64> {
    match disk.length(file).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        result => result,
    }
}

async fn read_or_nothing<D: Disk>(disk: &D, file: &Path, from: u64) -> io::Result<Vec<u8>> {
    match disk.read(file, from).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cdr::Disposition;
    use crate::shell::test_host::{RECORDS as FILE, TestDisk, calls_in, text_of};

    const JOURNAL: &str = "calls.json.journal";

    #[tokio::test(start_paused = true)]
    async fn a_torn_line_is_cut_off() {
        let disk = TestDisk::default();
        disk.put(FILE, "{\"call_id\":\"a\"}\n{\"call_i");

        let recovered = recover(&disk, Path::new(FILE)).await.expect("the disk works");

        assert_eq!(recovered, Recovered { interrupted: 0, torn_bytes: 8 });
        assert_eq!(disk.text(FILE), "{\"call_id\":\"a\"}\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_crash_at_any_write_of_the_recovery_loses_and_doubles_nothing() {
        for stop in 0..8 {
            let disk = TestDisk::default();
            disk.put(FILE, &format!("{}{{\"torn", text_of("old", Disposition::Answered)));
            let journal: String = [
                "{\"records_from\":0}\n".to_owned(),
                format!("{{\"up\":{}}}\n", text_of("old", Disposition::Interrupted).trim_end()),
                format!("{{\"up\":{}}}\n", text_of("one", Disposition::Interrupted).trim_end()),
                format!("{{\"up\":{}}}\n", text_of("two", Disposition::Interrupted).trim_end()),
                "{\"up\":{\"call".to_owned(),
            ]
            .concat();
            disk.put(JOURNAL, &journal);

            disk.stop_after(Some(stop));
            let _ = recover(&disk, Path::new(FILE)).await;
            disk.stop_after(None);
            recover(&disk, Path::new(FILE)).await.expect("the disk works again");

            assert_eq!(
                calls_in(&disk),
                ["old answered", "one interrupted", "two interrupted"],
                "stopped after {stop} writes"
            );
        }
    }
}
