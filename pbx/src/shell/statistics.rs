//! What the shell counts: traffic, how calls came out, how media sounded. The core's own counters go beside them.

use super::records::Counts;
use crate::cdr::{Disposition, Record};
use crate::media;
use crate::pbx::Counters;
use crate::time::Instant;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;

/// So many ended calls are shown with their quality.
const RECENT: usize = 20;

/// How things stand at one moment.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) at: Instant,
    pub(super) draining: bool,
    pub(super) counters: Counters,
    pub(super) connections: usize,
    pub(super) statistics: Statistics,
    pub(super) records: Counts,
}

/// What was counted since the start.
#[derive(Clone, Debug, Default)]
pub(super) struct Statistics {
    pub(super) traffic: Traffic,
    pub(super) calls: Calls,
    pub(super) media: MediaTotals,
    recent: VecDeque<Arc<Record>>,
}

/// SIP on its way.
#[derive(Clone, Debug, Default)]
pub(super) struct Traffic {
    pub(super) keepalives: u64,
    /// Not sent, because the socket's buffer was full.
    pub(super) datagrams_dropped: u64,
    pub(super) socket_errors: u64,
    pub(super) connections_accepted: u64,
    /// Over the limit.
    pub(super) connections_refused: u64,
    /// Broken, slow, garbage, unreachable.
    pub(super) connections_failed: u64,
}

/// How calls came out.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    /// Per [`Disposition`], in the order of [`DISPOSITIONS`].
    pub(super) ended: [u64; DISPOSITIONS.len()],
    /// Seconds from answer to end.
    pub(super) talk: Histogram,
}

/// All of them, with their names in call records and metrics.
pub(super) const DISPOSITIONS: [(Disposition, &str); 6] = [
    (Disposition::Answered, "answered"),
    (Disposition::Busy, "busy"),
    (Disposition::NoAnswer, "no_answer"),
    (Disposition::Cancelled, "cancelled"),
    (Disposition::Failed, "failed"),
    (Disposition::Interrupted, "interrupted"),
];

/// As call records and metrics write it.
pub(super) fn name_of(disposition: Disposition) -> &'static str {
    DISPOSITIONS.iter().find(|(found, _)| *found == disposition).map_or("unknown", |(_, name)| name)
}

/// RTP of the legs that have ended.
#[derive(Clone, Debug)]
pub(super) struct MediaTotals {
    pub(super) streams: u64,
    pub(super) open_failures: u64,
    pub(super) timeouts: u64,
    pub(super) packets_sent: u64,
    pub(super) bytes_sent: u64,
    pub(super) packets_received: u64,
    pub(super) bytes_received: u64,
    pub(super) packets_lost: u64,
    pub(super) packets_refused: u64,
    /// Mean opinion score, 1.0 to 4.5.
    pub(super) mos: Histogram,
    /// Seconds of jitter.
    pub(super) jitter: Histogram,
}

impl Default for Calls {
    fn default() -> Calls {
        Calls { ended: [0; DISPOSITIONS.len()], talk: Histogram::new(&TALK_BUCKETS) }
    }
}

const TALK_BUCKETS: [f64; 9] = [1.0, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0, 1800.0, 3600.0];
const MOS_BUCKETS: [f64; 9] = [1.5, 2.0, 2.5, 3.0, 3.5, 3.8, 4.0, 4.2, 4.4];
const JITTER_BUCKETS: [f64; 7] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1];

impl Default for MediaTotals {
    fn default() -> MediaTotals {
        MediaTotals {
            streams: 0,
            open_failures: 0,
            timeouts: 0,
            packets_sent: 0,
            bytes_sent: 0,
            packets_received: 0,
            bytes_received: 0,
            packets_lost: 0,
            packets_refused: 0,
            mos: Histogram::new(&MOS_BUCKETS),
            jitter: Histogram::new(&JITTER_BUCKETS),
        }
    }
}

impl Statistics {
    pub(super) fn on_record(&mut self, record: &Arc<Record>) {
        let which = DISPOSITIONS.iter().position(|(disposition, _)| *disposition == record.disposition);
        if let Some(which) = which {
            self.calls.ended[which] += 1;
        }
        if record.answered_at.is_some() {
            self.calls.talk.observe(record.billed_secs);
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(record.clone());
    }

    pub(super) fn on_media(&mut self, event: &media::Event) {
        match event {
            media::Event::Closed(_, statistics) => self.media.on_closed(statistics),
            media::Event::OpenFailed { .. } => self.media.open_failures += 1,
            media::Event::TimedOut(_) => self.media.timeouts += 1,
            media::Event::Opened(_)
            | media::Event::FirstPacket(_)
            | media::Event::SourceChanged { .. }
            | media::Event::Dtmf { .. }
            | media::Event::Finished(_)
            | media::Event::Recorded { .. }
            | media::Event::FellSilent(_)
            | media::Event::RecordingEnded { .. }
            | media::Event::Interrupted { .. }
            | media::Event::Statistics(..) => {}
        }
    }
}

impl MediaTotals {
    fn on_closed(&mut self, stream: &media::Statistics) {
        self.streams += 1;
        self.packets_sent += stream.packets_sent;
        self.bytes_sent += stream.bytes_sent;
        self.packets_received += stream.packets_received;
        self.bytes_received += stream.bytes_received;
        // Duplicates can make the loss of a stream negative (RFC 3550 section 6.4.1).
        self.packets_lost += u64::try_from(stream.packets_lost).unwrap_or(0);
        self.packets_refused += stream.packets_refused;
        if let Some(mos) = stream.mos {
            self.mos.observe(mos);
        }
        if stream.packets_received > 0 {
            self.jitter.observe(stream.jitter.as_secs_f64());
        }
    }
}

impl Snapshot {
    /// What GET /health says.
    pub(super) fn health(&self) -> Value {
        json!({
            "status": if self.draining { "draining" } else { "ok" },
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_secs": self.uptime_secs(),
            "calls": self.counters.calls_active,
            "registrations": self.counters.registrations,
        })
    }

    /// What GET /stats says.
    pub(super) fn to_json(&self) -> Value {
        let (counters, calls, media) = (&self.counters, &self.statistics.calls, &self.statistics.media);
        let ended: serde_json::Map<String, Value> = DISPOSITIONS
            .iter()
            .zip(calls.ended)
            .map(|((_, name), count)| (name.to_string(), count.into()))
            .collect();
        json!({
            "uptime_secs": self.uptime_secs(),
            "calls": {
                "total": counters.calls_total,
                "active": counters.calls_active,
                "answered": counters.calls_answered,
                "failed": counters.calls_failed,
                "ended": ended,
                "talk_secs": calls.talk.to_json(),
            },
            "quality": {
                "mos": media.mos.to_json(),
                "jitter_secs": media.jitter.to_json(),
                "packets_sent": media.packets_sent,
                "packets_received": media.packets_received,
                "packets_lost": media.packets_lost,
            },
            "registrations": counters.registrations,
            "rtp_ports": { "in_use": counters.ports_in_use, "total": counters.ports_total },
            "records": { "written": self.records.written, "dropped": self.records.dropped },
            "recent_calls": self.statistics.recent.iter().map(|record| &**record).collect::<Vec<_>>(),
        })
    }

    pub(super) fn uptime_secs(&self) -> f64 {
        self.at.since(Instant::START).as_secs_f64()
    }
}

/// Observations by size.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    bounds: &'static [f64],
    /// One more than bounds: the last is for what is above all of them.
    counts: Vec<u64>,
    sum: f64,
    least: f64,
    most: f64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Histogram {
        Histogram {
            bounds,
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
            least: f64::INFINITY,
            most: f64::NEG_INFINITY,
        }
    }

    fn observe(&mut self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket] += 1;
        self.sum += value;
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(super) fn sum(&self) -> f64 {
        self.sum
    }

    /// `None` before anything was observed.
    pub(super) fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum / count as f64)
    }

    /// Upper bound and how many fell into each bucket alone; the last one has no bound.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        self.bounds.iter().copied().chain([f64::INFINITY]).zip(self.counts.iter().copied()).collect()
    }

    fn to_json(&self) -> Value {
        match self.mean() {
            Some(mean) => json!({
                "count": self.count(), "sum": self.sum, "mean": mean, "least": self.least, "most": self.most
            }),
            None => json!({ "count": 0 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    #[test]
    fn a_value_on_a_bound_falls_below_it() {
        let mut histogram = Histogram::new(&JITTER_BUCKETS);
        for value in [0.001, 0.0011, 9.0] {
            histogram.observe(value);
        }
        let counts: Vec<u64> = histogram.buckets().into_iter().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 1, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn media_of_ended_legs_is_summed() {
        let mut statistics = Statistics::default();
        let stream = media::Statistics {
            packets_received: 100,
            packets_lost: -1,
            jitter: Duration::from_millis(3),
            mos: Some(4.3),
            ..media::Statistics::default()
        };
        statistics.on_media(&media::Event::Closed(media::StreamId(1), stream.clone()));
        statistics.on_media(&media::Event::Closed(
            media::StreamId(2),
            media::Statistics { packets_lost: 5, ..stream },
        ));

        assert_eq!(statistics.media.streams, 2);
        assert_eq!(statistics.media.packets_received, 200);
        assert_eq!(statistics.media.packets_lost, 5, "a negative loss is none");
        assert_eq!(statistics.media.mos.mean(), Some(4.3));
    }
}
