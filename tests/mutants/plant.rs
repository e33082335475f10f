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

/// The branch of the first Via.
pub(crate) fn branch(sent: &Outgoing) -> String {
    let text = String::from_utf8_lossy(&sent.bytes);
    let branch = text.split("branch=").nth(1).and_then(|rest| rest.split([';', '\r']).next());
    branch.unwrap_or_default().to_owned()
}

/// Another request within the same dialog, so much later.
pub(crate) fn another(sent: &Outgoing, method: &str, cseq: u32, delay: Duration) -> Outgoing {
    let text = String::from_utf8_lossy(&sent.bytes);
    let old = text.split(' ').next().unwrap_or_default();
    let number = text.split("CSeq: ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    let mut other = sent.after(delay);
    other.replace(&branch(sent), &format!("z9hG4bKanother{cseq}"));
    other.replace(&format!("CSeq: {number} {old}"), &format!("CSeq: {cseq} {method}"));
    other.replace(&format!("{old} sip:"), &format!("{method} sip:"));
    other
}

/// A request by the one who sends this response.
pub(crate) fn turned_round(sent: &Outgoing, method: &str, uri: &str) -> Outgoing {
    let text = String::from_utf8_lossy(&sent.bytes);
    let line =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    let mut other = sent.clone();
    other.bytes = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKturned;rport\r\nMax-Forwards: 70\r\n\
         From:{}\r\nTo:{}\r\nCall-ID:{}\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n",
        sent.from,
        line("To:"),
        line("From:"),
        line("Call-ID:")
    )
    .into_bytes();
    other
}
