//! What GET /metrics says, in the OpenMetrics text format. Each number is described in one place, here.

use super::statistics::{DISPOSITIONS, Histogram, Snapshot};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt;

/// What [`text`] is written for.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The text of all numbers at the moment of `snapshot`.
pub(super) fn exposition(snapshot: Snapshot) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(snapshot));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(out)
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut page = Page(encoder);
        self.program(&mut page)?;
        self.calls(&mut page)?;
        self.signalling(&mut page)?;
        self.media(&mut page)
    }
}

impl Snapshot {
    fn program(&self, page: &mut Page) -> fmt::Result {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        page.labelled("tandem_build_info", "What runs", MetricType::Gauge, |family| {
            family(&version, Number::Gauge(1.0))
        })?;
        page.gauge("tandem_uptime_seconds", "Time since the start", self.uptime_secs())?;
        page.gauge("tandem_draining", "1 while no new calls are taken", f64::from(u8::from(self.draining)))
    }

    fn calls(&self, page: &mut Page) -> fmt::Result {
        let (core, calls) = (&self.counters, &self.statistics.calls);
        page.counter("tandem_calls", "INVITEs that became calls", core.calls_total)?;
        page.gauge("tandem_calls_active", "Calls now", core.calls_active as f64)?;
        page.counter("tandem_calls_answered", "Calls answered", core.calls_answered)?;
        page.counter("tandem_calls_failed", "Calls that ended unanswered", core.calls_failed)?;
        page.labelled(
            "tandem_calls_ended",
            "Ended calls by how they came out",
            MetricType::Counter,
            |family| {
                for ((_, name), count) in DISPOSITIONS.iter().zip(calls.ended) {
                    family(&[("disposition", name)], Number::Counter(count))?;
                }
                Ok(())
            },
        )?;
        page.histogram("tandem_call_talk_seconds", "From answer to end, of ended calls", &calls.talk)?;
        page.counter("tandem_call_records_written", "Call records in the file", self.records.written)?;
        page.counter(
            "tandem_call_records_dropped",
            "Call records lost because the disk was too slow or failed",
            self.records.dropped,
        )
    }

    fn signalling(&self, page: &mut Page) -> fmt::Result {
        let (core, traffic) = (&self.counters, &self.statistics.traffic);
        page.gauge("tandem_registrations", "Registered contacts now", core.registrations as f64)?;
        page.counter(
            "tandem_authentication_failures",
            "Wrong passwords, unknown names",
            core.authentication_failures,
        )?;
        page.labelled("tandem_sip_messages", "SIP messages", MetricType::Counter, |family| {
            family(&[("direction", "in")], Number::Counter(core.messages_received))?;
            family(&[("direction", "out")], Number::Counter(core.messages_sent))
        })?;
        page.counter("tandem_sip_malformed", "What came and was no SIP message", core.messages_malformed)?;
        page.counter("tandem_sip_keepalives", "Keepalive datagrams received", traffic.keepalives)?;
        page.counter(
            "tandem_sip_datagrams_dropped",
            "Datagrams not sent because the socket's buffer was full",
            traffic.datagrams_dropped,
        )?;
        page.counter(
            "tandem_sip_socket_errors",
            "What the OS could not send or receive",
            traffic.socket_errors,
        )?;
        page.gauge("tandem_sip_connections", "Open SIP connections", self.connections as f64)?;
        page.labelled(
            "tandem_sip_connection_events",
            "What became of SIP connections",
            MetricType::Counter,
            |family| {
                family(&[("event", "accepted")], Number::Counter(traffic.connections_accepted))?;
                family(&[("event", "refused")], Number::Counter(traffic.connections_refused))?;
                family(&[("event", "failed")], Number::Counter(traffic.connections_failed))
            },
        )
    }

    fn media(&self, page: &mut Page) -> fmt::Result {
        let (core, media) = (&self.counters, &self.statistics.media);
        page.gauge("tandem_rtp_ports_in_use", "RTP port pairs in use", core.ports_in_use as f64)?;
        page.gauge("tandem_rtp_ports", "RTP port pairs in the range", core.ports_total as f64)?;
        page.counter("tandem_rtp_streams", "RTP streams that have ended", media.streams)?;
        page.counter("tandem_rtp_open_failures", "RTP ports that could not be bound", media.open_failures)?;
        page.counter("tandem_rtp_timeouts", "Streams that fell silent", media.timeouts)?;
        page.labelled("tandem_rtp_packets", "RTP packets of ended streams", MetricType::Counter, |family| {
            family(&[("direction", "in")], Number::Counter(media.packets_received))?;
            family(&[("direction", "out")], Number::Counter(media.packets_sent))
        })?;
        page.labelled(
            "tandem_rtp_payload_bytes",
            "RTP payload of ended streams",
            MetricType::Counter,
            |family| {
                family(&[("direction", "in")], Number::Counter(media.bytes_received))?;
                family(&[("direction", "out")], Number::Counter(media.bytes_sent))
            },
        )?;
        page.counter("tandem_rtp_packets_lost", "RTP packets that did not arrive", media.packets_lost)?;
        page.counter(
            "tandem_rtp_packets_refused",
            "RTP packets of a wrong source or kind",
            media.packets_refused,
        )?;
        page.histogram("tandem_rtp_mos", "Mean opinion score of ended streams (G.107)", &media.mos)?;
        page.histogram("tandem_rtp_jitter_seconds", "Jitter of ended streams (RFC 3550)", &media.jitter)
    }
}

/// The text as it grows.
struct Page<'a>(DescriptorEncoder<'a>);

enum Number {
    Counter(u64),
    Gauge(f64),
}

type Family<'a> = &'a mut dyn FnMut(&[(&str, &str)], Number) -> fmt::Result;

impl Page<'_> {
    /// The format puts `_total` behind the name.
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let metric = ConstCounter::new(value);
        metric.encode(self.0.encode_descriptor(name, help, None, metric.metric_type())?)
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let metric = ConstGauge::new(value);
        metric.encode(self.0.encode_descriptor(name, help, None, metric.metric_type())?)
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        encoder.encode_histogram::<NoLabelSet>(histogram.sum(), histogram.count(), &histogram.buckets(), None)
    }

    /// One name, several labels: `fill` gives a number for each.
    fn labelled(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        fill: impl FnOnce(Family<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, kind)?;
        fill(&mut |labels, number| {
            let member = encoder.encode_family(&labels)?;
            match number {
                Number::Counter(value) => ConstCounter::new(value).encode(member),
                Number::Gauge(value) => ConstGauge::new(value).encode(member),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pbx::Counters;
    use crate::shell::records::Counts;
    use crate::shell::statistics::Statistics;
    use crate::time::Instant;

    #[test]
    fn every_number_has_a_type_and_a_help() {
        let snapshot = Snapshot {
            at: Instant::from_millis(2_500),
            draining: false,
            counters: Counters { calls_total: 7, messages_received: 31, ..Counters::default() },
            connections: 2,
            statistics: Statistics::default(),
            records: Counts::default(),
        };

        let text = exposition(snapshot).expect("a String takes any text");

        for line in [
            "# HELP tandem_calls INVITEs that became calls",
            "# TYPE tandem_calls counter",
            "tandem_calls_total 7",
            "tandem_uptime_seconds 2.5",
            "tandem_sip_messages_total{direction=\"in\"} 31",
            "tandem_rtp_mos_bucket{le=\"+Inf\"} 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "no line {line:?} in\n{text}");
        }
        let names = text.lines().filter(|line| line.starts_with("# TYPE")).count();
        let helps = text.lines().filter(|line| line.starts_with("# HELP")).count();
        assert_eq!(names, helps);
    }
}
