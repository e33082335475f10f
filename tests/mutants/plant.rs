//! Faults that many mutants plant.

use pbx::time::Duration;
use simulator::network::Outgoing;
use simulator::stage::Stage;
use std::net::IpAddr;

/// What this host sends that begins like this becomes what `forge` makes of it.
pub(crate) fn forge(
    stage: &mut Stage,
    host: IpAddr,
    begins: &'static str,
    mut forge: impl FnMut(Outgoing) -> Vec<Outgoing> + Send + 'static,
) {
    stage.network.forge(host, move |sent| if sent.begins(begins) { forge(sent) } else { vec![sent] });
}

/// These words become others.
pub(crate) fn rewrite(
    stage: &mut Stage,
    host: IpAddr,
    begins: &'static str,
    old: &'static str,
    new: &'static str,
) {
    forge(stage, host, begins, move |mut sent| {
        sent.replace(old, new);
        vec![sent]
    });
}

/// It goes out once more, so much later.
pub(crate) fn repeat(stage: &mut Stage, host: IpAddr, begins: &'static str, delay: Duration) {
    forge(stage, host, begins, move |sent| vec![sent.clone(), sent.after(delay)]);
}

/// It goes out once more as something else, so much later.
pub(crate) fn echo(
    stage: &mut Stage,
    host: IpAddr,
    begins: &'static str,
    delay: Duration,
    old: &'static str,
    new: &'static str,
) {
    forge(stage, host, begins, move |sent| {
        let mut other = sent.after(delay);
        other.replace(old, new);
        vec![sent, other]
    });
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
