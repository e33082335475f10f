//! One side of one session: who offered what, and what was agreed (RFC 3264, RFC 6337).
//!
//! What it forgives: an answer that wants more direction than the offer allows is cut down to what it allows, additional
//! formats in an answer are not looked at, m-lines may vanish from an offer. Telephones do all of that, and the call can
//! go on. What it does not forgive ends in a [`NegotiationError`] and changes nothing.

use super::agree;
use super::crypto::Security;
use super::numbers::Numbers;
use super::read::{Description, Stream};
use super::write::{Line, Origin};
use super::{Agreement, Codec, Direction, LocalAudio, NegotiationError, RemoteAudio, Srtp};
use crate::srtp::MasterKey;

/// The offers and answers of one session, seen from us. A clone is a fork: each of several telephones that got one offer
/// answers in a dialog of its own.
#[derive(Clone, Debug)]
pub struct Negotiation {
    origin: Origin,
    /// Our m-lines; all that the session has ever had.
    lines: Vec<Line>,
    /// Which of them is the audio we talk over.
    audio: usize,
    numbers: Numbers,
    security: Security,
    /// The codecs we asked for when we last agreed.
    wished: Vec<Codec>,
    agreed: Option<Agreement>,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Nothing is open.
    Stable,
    /// We wait for an answer to these lines; `before` is what we had said last.
    WeOffered { lines: Vec<Line>, local: Box<LocalAudio>, wish: Vec<Codec>, before: Box<Origin> },
    /// We owe an answer.
    TheyOffered { offer: Description, audio: usize, remote: Box<RemoteAudio> },
}

impl Negotiation {
    /// A session in which nothing was offered. `session_id` and `user` are those of the `o=` line; of the id 63 bits count
    /// (RFC 3264 section 5).
    pub fn new(session_id: u64, user: &str) -> Negotiation {
        Negotiation {
            origin: Origin::new(session_id & i64::MAX as u64, user),
            lines: Vec::new(),
            audio: 0,
            numbers: Numbers::default(),
            security: Security::default(),
            wished: Vec::new(),
            agreed: None,
            state: State::Stable,
        }
    }

    /// The same, sealed as `policy` says with one of these keys; nobody else seals with them.
    pub fn sealed(self, policy: Srtp, keys: [MasterKey; 2]) -> Negotiation {
        Negotiation { security: Security::new(policy, keys), ..self }
    }

    /// Our offer: `local` in the place our audio has had so far, everything else with port 0 (RFC 3264 section 8.2).
    /// Payload types keep what they meant in this session, so a codec may be written with another number than `local` has.
    /// An offer that is still open is forgotten; do not make a second one (RFC 3264 section 4).
    pub fn offer(&mut self, local: &LocalAudio) -> Vec<u8> {
        debug_assert!(self.is_stable(), "an offer while one is open");
        let wish = local.codecs.clone();
        let codecs = self.numbers.assign(&self.steady(&wish));
        self.numbers.wrote(&codecs);
        let local = LocalAudio { codecs, ..local.clone() };
        let mut lines = self.lines.clone();
        let keys = self.security.offered(self.agreed.as_ref().and_then(|agreed| agreed.protection.as_ref()));
        let audio = |profile: &str| Line::Audio { profile: profile.to_owned(), keys, local: local.clone() };
        match lines.get_mut(self.audio) {
            Some(line) => *line = audio(line.profile()),
            None => lines.push(audio(self.security.profile())),
        }
        let before = Box::new(self.origin.clone());
        let text = self.origin.describe(local.address.ip(), &lines);
        self.state = State::WeOffered { lines, local: Box::new(local), wish, before };
        text
    }

    /// The other side's offer, which is then to be answered or rolled back.
    pub fn receive_offer(&mut self, sdp: &[u8]) -> Result<RemoteAudio, NegotiationError> {
        match self.state {
            State::Stable => {}
            State::WeOffered { .. } => return Err(NegotiationError::Glare),
            State::TheyOffered { .. } => return Err(NegotiationError::OfferPending),
        }
        let offer = Description::parse(sdp).map_err(NegotiationError::Unreadable)?;
        let (audio, remote) = offer.audio(self.audio, &self.security)?;
        let remote = remote.clone();
        // Also when it is going to be refused: the numbers were given (RFC 3264 section 8.3.2).
        self.numbers.read(&remote.codecs);
        self.state = State::TheyOffered { audio, remote: Box::new(remote.clone()), offer };
        Ok(remote)
    }

    /// Our answer: of `local.codecs` those that were offered, with the numbers of the offer. `local.direction` is what we
    /// want; the answer is what of it the offer allows. The offer stays open when this fails.
    ///
    /// The codecs stand in our order, which RFC 3264 section 6.1 allows where there is a reason; the reason is that
    /// somebody configured it.
    pub fn answer(&mut self, local: &LocalAudio) -> Result<(Vec<u8>, Agreement), NegotiationError> {
        let State::TheyOffered { offer, audio, remote } = &self.state else {
            return Err(NegotiationError::NothingOffered);
        };
        let (audio, is_over) = (*audio, offer.streams[*audio].port == 0);
        let (ours, theirs) = agree::common(&self.steady(&local.codecs), &remote.codecs);
        let agreement = match (agree::agreement(theirs, remote, local.direction), &self.agreed) {
            (Some(agreement), _) => agreement,
            // A stream that is over may list any format (RFC 3264 section 8.2).
            (None, Some(before)) if is_over => {
                Agreement { remote: (**remote).clone(), direction: Direction::Inactive, ..before.clone() }
            }
            (None, _) => return Err(NegotiationError::NoCommonCodec),
        };
        let wish = local.codecs.clone();
        let local = LocalAudio { codecs: ours, direction: agreement.direction, ..local.clone() };
        self.numbers.wrote(&local.codecs);
        let address = local.address.ip();
        let mut lines: Vec<_> = offer.streams.iter().map(Line::refusing).collect();
        let (key, protection) = self.security.answer(remote).unzip();
        let agreement = Agreement { protection, ..agreement };
        if !is_over {
            let (profile, keys) = (offer.streams[audio].profile.clone(), key.into_iter().collect());
            lines[audio] = Line::Audio { profile, keys, local };
        }
        let text = self.origin.describe(address, &lines);
        self.settle(lines, audio, wish, agreement.clone());
        Ok((text, agreement))
    }

    /// The answer to our offer. The offer stays open when this fails.
    pub fn receive_answer(&mut self, sdp: &[u8]) -> Result<Agreement, NegotiationError> {
        let agreement = self.preview_answer(sdp)?;
        if let State::WeOffered { lines, wish, .. } = std::mem::replace(&mut self.state, State::Stable) {
            self.numbers.read(&agreement.remote.codecs);
            self.settle(lines, self.audio, wish, agreement.clone());
        }
        Ok(agreement)
    }

    /// What the answer to our offer would mean; the offer stays open (early media in a response that may get lost).
    pub fn preview_answer(&self, sdp: &[u8]) -> Result<Agreement, NegotiationError> {
        let State::WeOffered { lines, local, .. } = &self.state else {
            return Err(NegotiationError::NothingOffered);
        };
        let answer = Description::parse(sdp).map_err(NegotiationError::Unreadable)?;
        let is_of_the_kind =
            |(line, stream): (&Line, &Stream)| line.kind().eq_ignore_ascii_case(&stream.kind);
        if answer.streams.len() != lines.len() || !lines.iter().zip(&answer.streams).all(is_of_the_kind) {
            return Err(NegotiationError::OtherStreams);
        }
        let stream = &answer.streams[self.audio];
        if stream.port == 0 {
            return Err(NegotiationError::Refused);
        }
        let remote = stream.audio.as_ref().map_err(Clone::clone)?;
        let demanded = lines[self.audio].profile().to_ascii_uppercase().starts_with("RTP/SAVP");
        let protection = self.security.answered(remote, demanded)?;
        // The numbers and the order are those of the answer: what we send with (RFC 3264 section 7).
        let (_, mut theirs) = agree::common(&local.codecs, &remote.codecs);
        theirs.sort_by_key(|codec| remote.codecs.iter().position(|listed| listed == codec));
        let agreement =
            agree::agreement(theirs, remote, local.direction).ok_or(NegotiationError::NoCommonCodec)?;
        let other_number = |ours: &&Codec| {
            let mut agreed = agreement.codecs.iter().chain(&agreement.telephone_event);
            agreed.any(|theirs| theirs.matches(ours) && theirs.payload_type != ours.payload_type)
        };
        let renumbered = local.codecs.iter().filter(other_number).cloned().collect();
        Ok(Agreement { renumbered, protection, ..agreement })
    }

    /// The open offer, whoever made it, was refused: everything is as before (RFC 6337 section 3.4).
    pub fn rollback(&mut self) {
        self.state = State::Stable;
    }

    /// Our open offer never went out: the next one takes its place, and its version (RFC 3264 section 8).
    pub fn withdraw(&mut self) {
        if let State::WeOffered { before, .. } = std::mem::replace(&mut self.state, State::Stable) {
            self.origin = *before;
        }
    }

    /// What holds.
    pub fn agreed(&self) -> Option<&Agreement> {
        self.agreed.as_ref()
    }

    /// What the other side said last: its open offer, or its part of what holds.
    pub fn remote(&self) -> Option<&RemoteAudio> {
        match &self.state {
            State::TheyOffered { remote, .. } => Some(remote),
            State::Stable | State::WeOffered { .. } => self.agreed.as_ref().map(|agreed| &agreed.remote),
        }
    }

    /// Whether an offer of ours waits for its answer.
    pub fn has_offered(&self) -> bool {
        matches!(self.state, State::WeOffered { .. })
    }

    /// Whether no offer is open, neither ours nor theirs.
    pub fn is_stable(&self) -> bool {
        matches!(self.state, State::Stable)
    }

    /// `wish` with the codecs in use first, as long as we wish for the same as when we agreed on them: hold and resume
    /// change no codec, whoever's order counted first.
    fn steady(&self, wish: &[Codec]) -> Vec<Codec> {
        let mut codecs = wish.to_vec();
        let is_unchanged = wish.len() == self.wished.len()
            && wish.iter().zip(&self.wished).all(|(now, then)| now.matches(then));
        if let (true, Some(agreed)) = (is_unchanged, &self.agreed) {
            codecs.sort_by_key(|codec| {
                agreed.codecs.iter().position(|used| used.matches(codec)).unwrap_or(usize::MAX)
            });
        }
        codecs
    }

    fn settle(&mut self, lines: Vec<Line>, audio: usize, wished: Vec<Codec>, agreed: Agreement) {
        self.lines = lines;
        self.audio = audio;
        self.wished = wished;
        self.agreed = Some(agreed);
        self.state = State::Stable;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn the_first_offer_reads_as_rfc_3264_wants_it() {
        let mut alice = Negotiation::new(7, "alice");
        let text = alice.offer(&local(&[Codec::pcmu(), Codec::telephone_event(101)]));
        assert_eq!(
            String::from_utf8_lossy(&text),
            "v=0\r\no=alice 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
             m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
             a=fmtp:101 0-15\r\na=sendrecv\r\n"
        );
    }

    #[test]
    fn our_order_decides_and_the_offers_numbers_count() {
        let mut bob = Negotiation::new(1, "-");
        bob.receive_offer(&offer("8 0 99", "a=rtpmap:99 telephone-event/8000")).expect("an offer");
        let wish = local(&[Codec::pcmu(), Codec::pcma(), Codec::telephone_event(101)]);
        let (answer, agreement) = bob.answer(&wish).expect("an answer");
        assert!(String::from_utf8_lossy(&answer).contains("m=audio 4000 RTP/AVP 0 8 99\r\n"));
        assert_eq!(agreement.codecs, [Codec::pcmu(), Codec::pcma()]);
        assert_eq!(agreement.telephone_event.map(|event| event.payload_type), Some(99));
    }

    #[test]
    fn a_refused_reoffer_leaves_what_was_agreed() {
        let mut bob = talking();
        let before = bob.agreed().cloned();
        bob.receive_offer(&offer("18", "")).expect("an offer");
        assert_eq!(bob.answer(&local(&[Codec::pcmu()])), Err(NegotiationError::NoCommonCodec));
        bob.rollback();
        assert_eq!(bob.agreed().cloned(), before);
        assert!(bob.is_stable());
    }

    #[test]
    fn an_offer_that_never_went_out_takes_no_version() {
        let version = |text: &[u8]| -> String {
            let text = String::from_utf8_lossy(text).into_owned();
            text.split_whitespace().nth(3).unwrap_or_default().to_owned()
        };
        let held = LocalAudio { direction: Direction::SendOnly, ..local(&[Codec::pcmu()]) };
        let mut bob = talking();
        bob.offer(&held);
        bob.withdraw();
        let (mut seen, mut unseen) = (bob.clone(), bob.clone());
        assert_eq!(version(&unseen.offer(&held)), "2");
        seen.offer(&held);
        seen.rollback();
        assert_eq!(version(&seen.offer(&local(&[Codec::pcmu()]))), "3");
    }

    #[test]
    fn an_answer_that_forgets_the_hold_is_taken_as_a_hold() {
        let mut bob = talking();
        bob.offer(&LocalAudio { direction: Direction::SendOnly, ..local(&[Codec::pcmu()]) });
        let agreement = bob.receive_answer(&offer("0", "a=sendrecv")).expect("an answer");
        assert_eq!(agreement.direction, Direction::SendOnly);
    }

    #[test]
    fn what_we_send_with_are_the_numbers_of_the_answer() {
        let mut bob = Negotiation::new(1, "-");
        bob.offer(&local(&[Codec::pcma(), Codec::telephone_event(101)]));
        let answer = offer("8 96", "a=rtpmap:96 telephone-event/8000");
        let agreement = bob.receive_answer(&answer).expect("an answer");
        assert_eq!(agreement.telephone_event.map(|event| event.payload_type), Some(96));
        assert_eq!(agreement.renumbered, [Codec::telephone_event(101)], "which may come with our number");
    }

    #[test]
    fn an_answer_with_other_streams_or_none_is_refused_and_the_offer_stays_open() {
        let mut bob = Negotiation::new(1, "-");
        bob.offer(&local(&[Codec::pcmu()]));
        let two = [offer("0", ""), b"m=video 0 RTP/AVP 31\r\n".to_vec()].concat();
        assert_eq!(bob.receive_answer(&two), Err(NegotiationError::OtherStreams));
        let none = String::from_utf8_lossy(&offer("0", "")).replace("m=audio 5000", "m=audio 0");
        assert_eq!(bob.receive_answer(none.as_bytes()), Err(NegotiationError::Refused));
        assert!(bob.has_offered());
    }

    #[test]
    fn streams_of_the_session_stay_in_their_places_when_we_offer() {
        let mut bob = Negotiation::new(1, "-");
        let first =
            [b"v=0\r\nc=IN IP4 192.0.2.9\r\nm=video 6000 RTP/AVP 31\r\n", &offer("0", "")[25..]].concat();
        bob.receive_offer(&first).expect("an offer");
        bob.answer(&local(&[Codec::pcmu()])).expect("an answer");
        let text = bob.offer(&local(&[Codec::pcmu()]));
        let lines: Vec<_> =
            std::str::from_utf8(&text).expect("text").lines().filter(|line| line.starts_with("m=")).collect();
        assert_eq!(lines, ["m=video 0 RTP/AVP 31", "m=audio 4000 RTP/AVP 0"]);
    }

    #[test]
    fn a_stream_that_was_over_comes_back() {
        let mut bob = talking();
        let over = String::from_utf8_lossy(&offer("18", "")).replace("m=audio 5000", "m=audio 0");
        let remote = bob.receive_offer(over.as_bytes()).expect("an offer");
        assert_eq!((remote.rtp, remote.direction), (None, Direction::Inactive));
        let (answer, agreement) = bob.answer(&local(&[Codec::pcmu()])).expect("an answer");
        assert!(String::from_utf8_lossy(&answer).contains("m=audio 0 RTP/AVP 18\r\n"));
        assert_eq!((agreement.codecs, agreement.direction), (vec![Codec::pcmu()], Direction::Inactive));

        bob.receive_offer(&offer("0", "")).expect("an offer");
        let (_, agreement) = bob.answer(&local(&[Codec::pcmu()])).expect("an answer");
        assert_eq!(agreement.direction, Direction::SendRecv);
    }

    #[test]
    fn another_wish_may_change_the_codec_and_the_same_may_not() {
        let both = [Codec::pcmu(), Codec::pcma()];
        let mut bob = Negotiation::new(1, "-");
        bob.offer(&local(&both));
        bob.receive_answer(&offer("8 0", "")).expect("an answer");
        let order = |bob: &mut Negotiation, wish: &[Codec]| {
            let text = String::from_utf8_lossy(&bob.offer(&local(wish))).into_owned();
            bob.rollback();
            text.lines().find_map(|line| line.strip_prefix("m=audio 4000 RTP/AVP ")).map(str::to_owned)
        };
        assert_eq!(order(&mut bob, &both).as_deref(), Some("8 0"));
        let also = [Codec::pcmu(), Codec::pcma(), Codec::telephone_event(101)];
        assert_eq!(order(&mut bob, &also).as_deref(), Some("0 8 101"));
    }

    #[test]
    fn two_who_have_to_seal_agree_on_keys() {
        for suite in 0..2 {
            let mut alice = Negotiation::new(1, "-").sealed(Srtp::Required, keys(1));
            let mut bob = Negotiation::new(2, "-").sealed(Srtp::Required, keys(3));
            let offer = text(alice.offer(&local(&[Codec::pcmu()])));
            assert!(offer.contains("m=audio 4000 RTP/SAVP 0\r\n"), "{offer}");
            let cut: String =
                offer.split_inclusive('\n').filter(|line| suite == 0 || !line.contains("_80")).collect();
            bob.receive_offer(cut.as_bytes()).expect("an offer");
            let (answer, of_bob) = bob.answer(&local(&[Codec::pcmu()])).expect("an answer");
            let of_alice = alice.receive_answer(&answer).expect("an answer");
            let (one, other) = (of_alice.protection.expect("sealed"), of_bob.protection.expect("sealed"));
            assert_eq!((&one.ours, &one.theirs, one.suite), (&other.theirs, &other.ours, other.suite));
            let again = text(alice.offer(&local(&[Codec::pcmu()])));
            assert_eq!(again.matches("a=crypto:").count(), 1, "the key in use: {again}");
            bob.receive_offer(again.as_bytes()).expect("an offer");
            let (_, kept) = bob.answer(&local(&[Codec::pcmu()])).expect("an answer");
            assert_eq!(kept.protection, Some(other), "nothing has changed");
        }
    }

    #[test]
    fn who_has_to_seal_is_not_talked_out_of_it() {
        let sealed = |policy| Negotiation::new(1, "-").sealed(policy, keys(1));
        let plain = offer("0", "");
        assert_eq!(sealed(Srtp::Required).receive_offer(&plain), Err(NegotiationError::Unsealed));
        assert!(sealed(Srtp::Optional).receive_offer(&plain).is_ok());
        let mut alice = sealed(Srtp::Required);
        let made = text(alice.offer(&local(&[Codec::pcmu()])));
        assert_eq!(alice.receive_answer(&plain), Err(NegotiationError::Unsealed));
        let keyless = text(plain).replace("RTP/AVP", "RTP/SAVP");
        assert_eq!(alice.receive_answer(keyless.as_bytes()), Err(NegotiationError::NoKey));
        assert_eq!(sealed(Srtp::Optional).receive_offer(keyless.as_bytes()), Err(NegotiationError::NoKey));
        assert!(matches!(
            sealed(Srtp::Off).receive_offer(made.as_bytes()),
            Err(NegotiationError::Profile(_))
        ));
    }

    #[test]
    fn who_may_seal_does_so_with_those_who_can() {
        let mut alice = Negotiation::new(1, "-").sealed(Srtp::Optional, keys(1));
        let made = alice.offer(&local(&[Codec::pcmu()]));
        let mut bob = Negotiation::new(2, "-").sealed(Srtp::Optional, keys(3));
        bob.receive_offer(&made).expect("an offer");
        let (answer, _) = bob.answer(&local(&[Codec::pcmu()])).expect("an answer");
        assert!(alice.preview_answer(&answer).expect("an answer").protection.is_some());
        let agreed = alice.receive_answer(&offer("0", "")).expect("an answer of somebody who cannot");
        assert_eq!(agreed.protection, None);
    }

    #[test]
    fn keys_are_not_in_what_is_printed_for_logs() {
        let mut alice = Negotiation::new(1, "-").sealed(Srtp::Required, keys(1));
        let made = text(alice.offer(&local(&[Codec::pcmu()])));
        let key = made.split("inline:").nth(1).and_then(|rest| rest.lines().next()).expect("a key");
        assert!(!format!("{alice:?}").contains(key));
    }

    fn keys(fill: u8) -> [MasterKey; 2] {
        [fill, fill + 1].map(|fill| MasterKey::from_bytes([fill; MasterKey::LENGTH]))
    }

    fn text(description: Vec<u8>) -> String {
        String::from_utf8(description).expect("text")
    }

    fn talking() -> Negotiation {
        let mut bob = Negotiation::new(1, "-");
        bob.receive_offer(&offer("0 8", "")).expect("an offer");
        bob.answer(&local(&[Codec::pcmu()])).expect("an answer");
        bob
    }

    fn local(codecs: &[Codec]) -> LocalAudio {
        let address = SocketAddr::from(([192, 0, 2, 1], 4_000));
        LocalAudio { address, codecs: codecs.to_vec(), direction: Direction::SendRecv, ptime: None }
    }

    fn offer(formats: &str, attributes: &str) -> Vec<u8> {
        format!("v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 5000 RTP/AVP {formats}\r\n{attributes}\r\n")
            .into_bytes()
    }
}
