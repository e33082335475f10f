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

/// In the body of a message these words become others, and its length is right again.
pub(crate) fn redescribe(
    stage: &mut Stage,
    host: IpAddr,
    begins: &'static str,
    old: &'static str,
    new: &'static str,
) {
    forge(stage, host, begins, move |mut sent| {
        with_body(&mut sent, |body| body.replace(old, new));
        vec![sent]
    });
}

/// Changes the body of a message that has one, and says the new length.
pub(crate) fn with_body(sent: &mut Outgoing, change: impl FnOnce(&str) -> String) {
    let text = String::from_utf8_lossy(&sent.bytes).into_owned();
    let Some((head, body)) = text.split_once("\r\n\r\n").filter(|(_, body)| !body.is_empty()) else { return };
    let new = change(body);
    let length = |length: usize| format!("Content-Length: {length}\r\n");
    let head = format!("{head}\r\n").replace(&length(body.len()), &length(new.len()));
    sent.bytes = format!("{head}\r\n{new}").into_bytes();
}

/// The RTP of a host goes out as `change` leaves it; it is told how many packets went before.
pub(crate) fn forge_rtp(
    stage: &mut Stage,
    host: IpAddr,
    mut change: impl FnMut(u32, Outgoing) -> Vec<Outgoing> + Send + 'static,
) {
    let mut packets = 0;
    stage.network.forge(host, move |sent| {
        if !is_media(&sent) || is_rtcp(&sent) {
            return vec![sent];
        }
        packets += 1;
        change(packets - 1, sent)
    });
}

/// The RTCP of a host goes out as `change` leaves it.
pub(crate) fn forge_rtcp(
    stage: &mut Stage,
    host: IpAddr,
    mut change: impl FnMut(&mut Outgoing) + Send + 'static,
) {
    stage.network.forge(host, move |mut sent| {
        if is_rtcp(&sent) {
            change(&mut sent);
        }
        vec![sent]
    });
}

fn is_media(sent: &Outgoing) -> bool {
    sent.bytes.first().is_some_and(|first| first >> 6 == 2)
}

fn is_rtcp(sent: &Outgoing) -> bool {
    is_media(sent) && sent.bytes.get(1).is_some_and(|kind| (192..224).contains(kind))
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
