//! Log lines: what the core tells becomes a line with the call's id as a field. Nothing here decides anything.
//!
//! Lines are written by a thread of their own: a terminal or a journal that does not keep up loses lines, which are
//! counted, and never holds up a call.

use super::statistics::{Snapshot, name_of};
use super::streams::Ending;
use crate::cdr::Record;
use crate::pbx::{Event, What};
use crate::sip::Path;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait to be written.
const QUEUE: usize = 8_192;
/// How long the last lines may take at the end.
const FINISH_LIMIT: Duration = Duration::from_secs(2);

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Writes what waits when it is dropped.
#[must_use = "dropping it ends the log"]
pub struct Log {
    lines: Lines,
    done: Receiver<()>,
}

/// Log lines of the whole program go to standard error from now on. `filter` is a level (`info`) or what
/// [`EnvFilter`] understands (`pbx=debug,info`); what it does not understand is returned.
pub fn start(filter: &str, format: Format) -> Result<Log, String> {
    let filter = EnvFilter::builder().parse(filter).map_err(|error| error.to_string())?;
    let (lines, done) = Lines::start(io::stderr()).map_err(|error| error.to_string())?;
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines.clone()).with_ansi(false);
    let installed = match format {
        Format::Text => subscriber.try_init(),
        Format::Json => subscriber.json().flatten_event(true).with_current_span(false).try_init(),
    };
    installed.map_err(|error| error.to_string())?;
    Ok(Log { lines, done })
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.lines.sender.send(Line::End).is_ok() {
            let _ = self.done.recv_timeout(FINISH_LIMIT);
        }
    }
}

/// Where lines wait.
#[derive(Clone)]
struct Lines {
    sender: SyncSender<Line>,
    lost: Arc<AtomicU64>,
}

enum Line {
    Text(Vec<u8>),
    End,
}

impl Lines {
    /// A thread of its own: whoever reads the log may be slow, and calls must not wait for him.
    fn start(mut out: impl Write + Send + 'static) -> io::Result<(Lines, Receiver<()>)> {
        let (sender, lines) = sync_channel(QUEUE);
        let (finished, done) = sync_channel(1);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = lost.clone();
        std::thread::Builder::new().name("pbx-log".into()).spawn(move || {
            write_lines(&lines, &counted, &mut out);
            let _ = finished.send(());
        })?;
        Ok((Lines { sender, lost }, done))
    }
}

/// Writes what waits at once, until the end.
fn write_lines(lines: &Receiver<Line>, lost: &AtomicU64, out: &mut impl Write) {
    let mut block = Vec::new();
    while let Ok(first) = lines.recv() {
        let mut ended = false;
        for line in std::iter::once(first).chain(lines.try_iter().take(256)) {
            match line {
                Line::Text(text) => block.extend_from_slice(&text),
                Line::End => ended = true,
            }
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(block, "{lost} log lines lost");
        }
        // Nobody to tell when the log itself cannot be written.
        let _ = out.write_all(&block).and_then(|()| out.flush());
        block.clear();
        if ended {
            return;
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter { lines: self, text: Vec::new() }
    }
}

/// One line; sent when it is dropped.
struct LineWriter<'a> {
    lines: &'a Lines,
    text: Vec<u8>,
}

impl Write for LineWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter<'_> {
    fn drop(&mut self) {
        let text = std::mem::take(&mut self.text);
        if !text.is_empty() && self.lines.sender.try_send(Line::Text(text)).is_err() {
            self.lines.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What the core tells.
pub(super) fn event(event: &Event) {
    let call_id = event.call_id.as_deref();
    match &event.what {
        What::CallIncoming { caller, dialled, .. } => {
            tracing::info!(call_id, %caller, %dialled, "call incoming");
        }
        What::CallCreated { caller, dialled, context } => {
            tracing::info!(call_id, %caller, %dialled, %context, "call ordered");
        }
        What::CallRinging => tracing::debug!(call_id, "call ringing"),
        What::CallAnswered { by } => tracing::info!(call_id, %by, "call answered"),
        // Its record says it with everything else.
        What::CallEnded { status, why, .. } => tracing::debug!(call_id, status, reason = %why, "call ended"),
        What::NotRouted { reason } => {
            tracing::warn!(call_id, reason, "the web service does not say where a call goes");
        }
        What::NotPlayed { file, reason } => {
            tracing::warn!(call_id, file = %file.display(), reason, "a sound cannot be played");
        }
        What::RecordingStarted { file, .. } => {
            tracing::info!(call_id, file = %file.display(), "recording");
        }
        What::RecordingEnded { file, length, .. } => {
            tracing::info!(call_id, file = %file.display(), seconds = length.as_secs_f64(), "recorded");
        }
        What::RecordingFailed { file, reason, .. } => {
            tracing::error!(call_id, file = %file.display(), reason, "a recording has ended too early");
        }
        What::MessageLeft { mailbox, caller, length, .. } => {
            tracing::info!(call_id, %mailbox, %caller, length_secs = length.as_secs_f64(), "message left");
        }
        What::Dtmf { digit, by } => tracing::info!(call_id, %digit, by, "key pressed"),
        What::Registered { extension, contact } => tracing::info!(%extension, %contact, "registered"),
        What::Unregistered { extension, contact } => tracing::info!(%extension, %contact, "unregistered"),
        What::AuthenticationFailed { user, source } => {
            tracing::warn!(%user, %source, "authentication failed")
        }
        What::Blocked { source } => tracing::warn!(%source, "source blocked"),
        what => tracing::debug!(call_id, ?what, "event"),
    }
}

/// How a call came out: duration, packets each way, quality.
pub(super) fn call_record(record: &Record) {
    for leg in &record.media {
        tracing::debug!(
            call_id = %record.call_id,
            leg = %leg.leg,
            codec = leg.codec.as_deref(),
            packets_sent = leg.packets_sent,
            packets_received = leg.packets_received,
            packets_lost = leg.packets_lost,
            jitter_ms = leg.jitter_ms,
            mos = leg.mos,
            "media of call"
        );
    }
    tracing::info!(
        call_id = %record.call_id,
        disposition = name_of(record.disposition),
        status = record.status,
        reason = %record.reason,
        duration_secs = record.duration_secs,
        billed_secs = record.billed_secs,
        packets_sent = record.media.iter().map(|leg| leg.packets_sent).sum::<u64>(),
        packets_received = record.media.iter().map(|leg| leg.packets_received).sum::<u64>(),
        packets_lost = record.media.iter().map(|leg| leg.packets_lost).sum::<i64>(),
        mos_worst = record.media.iter().filter_map(|leg| leg.mos).reduce(f64::min),
        "call over"
    );
}

/// The line of every half minute.
pub(super) fn statistics(snapshot: &Snapshot) {
    let (counters, figures) = (&snapshot.counters, &snapshot.statistics);
    tracing::info!(
        total = counters.calls_total,
        active = counters.calls_active,
        answered = counters.calls_answered,
        failed = counters.calls_failed,
        talk_secs_mean = figures.calls.talk.mean(),
        talk_secs_sum = figures.calls.talk.sum(),
        mos_mean = figures.media.mos.mean(),
        packets_lost = figures.media.packets_lost,
        registrations = counters.registrations,
        "statistics"
    );
}

/// Why a SIP connection is gone.
pub(super) fn connection_ended(path: &Path, ending: &Ending) {
    let (transport, remote) = (path.transport, path.remote);
    match ending {
        Ending::Finished => tracing::debug!(%transport, %remote, "connection closed"),
        Ending::Idle => tracing::debug!(%transport, %remote, "connection closed: idle"),
        Ending::Slow => tracing::info!(%transport, %remote, "connection closed: no whole message in time"),
        Ending::Garbage(error) => tracing::info!(%transport, %remote, %error, "connection closed: no SIP"),
        Ending::Unreachable(error) => tracing::info!(%transport, %remote, %error, "connection not opened"),
        Ending::Untrusted(error) => {
            tracing::warn!(%transport, %remote, %error, "connection closed: no TLS was agreed on");
        }
        Ending::Broken(error) => tracing::debug!(%transport, %remote, %error, "connection broken"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_whole_and_the_lost_ones_counted() {
        let (sender, receiver) = sync_channel(2);
        let lines = Lines { sender, lost: Arc::default() };
        for text in ["one\n", "two\n", "three\n"] {
            lines.make_writer().write_all(text.as_bytes()).expect("memory takes it");
        }
        let lost = lines.lost.clone();
        drop(lines);

        let mut written = Vec::new();
        write_lines(&receiver, &lost, &mut written);

        assert_eq!(String::from_utf8_lossy(&written), "one\ntwo\n1 log lines lost\n");
    }
}
