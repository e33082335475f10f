//! Codecs by number and by name (RFC 3551 section 6), and what one leg's codecs mean for another leg.

use super::{Codec, RemoteAudio};
use std::collections::BTreeSet;

/// Payload types that need no rtpmap (RFC 3551 table 4): number, name, clock rate, channels.
const STATIC: [(u8, &str, u32, u8); 17] = [
    (0, "PCMU", 8_000, 1),
    (3, "GSM", 8_000, 1),
    (4, "G723", 8_000, 1),
    (5, "DVI4", 8_000, 1),
    (6, "DVI4", 16_000, 1),
    (7, "LPC", 8_000, 1),
    (8, "PCMA", 8_000, 1),
    // The clock of G.722 is half its sampling rate, by a mistake of RFC 1890 that has to stay (section 4.5.2).
    (9, "G722", 8_000, 1),
    (10, "L16", 44_100, 2),
    (11, "L16", 44_100, 1),
    (12, "QCELP", 8_000, 1),
    (13, "CN", 8_000, 1),
    (14, "MPA", 90_000, 1),
    (15, "G728", 8_000, 1),
    (16, "DVI4", 11_025, 1),
    (17, "DVI4", 22_050, 1),
    (18, "G729", 8_000, 1),
];

/// Codecs that a configuration may prefer although their number is not fixed: the number we give them.
const DYNAMIC: [(u8, &str, u32, u8); 4] =
    [(111, "opus", 48_000, 2), (97, "iLBC", 8_000, 1), (98, "speex", 8_000, 1), (99, "AMR", 8_000, 1)];

/// Parameters without which two codecs of one name are two formats, with the value where none is written
/// (RFC 4867 section 8.1, RFC 5577 section 5.1).
const FORMAT_PARAMETERS: [(&str, &str, &str); 3] =
    [("AMR", "octet-align", "0"), ("AMR-WB", "octet-align", "0"), ("G7221", "bitrate", "")];

impl Codec {
    /// G.711 µ-law.
    pub fn pcmu() -> Codec {
        Codec::plain((0, "PCMU", 8_000, 1))
    }

    /// G.711 A-law.
    pub fn pcma() -> Codec {
        Codec::plain((8, "PCMA", 8_000, 1))
    }

    /// Keys as events (RFC 4733), the sixteen of a telephone.
    pub fn telephone_event(payload_type: u8) -> Codec {
        let codec = Codec::plain((payload_type, "telephone-event", 8_000, 1));
        Codec { fmtp: Some("0-15".into()), ..codec }
    }

    /// The codec of a payload type that needs no rtpmap.
    pub fn of_static(payload_type: u8) -> Option<Codec> {
        STATIC.into_iter().find(|(number, ..)| *number == payload_type).map(Codec::plain)
    }

    /// The codec a configuration means by this name; `None` for a name that nobody registered or that is no sound.
    pub fn by_name(name: &str) -> Option<Codec> {
        let known = STATIC.into_iter().chain(DYNAMIC).find(|(_, known, ..)| known.eq_ignore_ascii_case(name));
        known.map(Codec::plain).filter(Codec::is_audio)
    }

    /// The names that [`Codec::by_name`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let names: BTreeSet<_> = STATIC.iter().chain(&DYNAMIC).map(|(_, name, ..)| *name).collect();
        names.into_iter().filter(|name| Codec::by_name(name).is_some())
    }

    /// Whether both are the same format, whatever their numbers (RFC 3264 section 6.1).
    pub fn matches(&self, other: &Codec) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && self.clock_rate == other.clock_rate
            && self.channels == other.channels
            && self.format_parameter() == other.format_parameter()
    }

    /// Whether this is `telephone-event`.
    pub fn is_telephone_event(&self) -> bool {
        self.name.eq_ignore_ascii_case("telephone-event")
    }

    /// Whether this is the noise of pauses (RFC 3389).
    pub fn is_comfort_noise(&self) -> bool {
        self.name.eq_ignore_ascii_case("CN") && self.clock_rate == 8_000
    }

    /// Whether it carries sound by itself: neither keys nor comfort noise nor a wrapping of other codecs.
    pub fn is_audio(&self) -> bool {
        !["telephone-event", "CN", "red"].iter().any(|other| self.name.eq_ignore_ascii_case(other))
    }

    fn plain((payload_type, name, clock_rate, channels): (u8, &str, u32, u8)) -> Codec {
        Codec { payload_type, name: name.into(), clock_rate, channels, fmtp: None }
    }

    fn format_parameter(&self) -> Option<&str> {
        let (_, parameter, default) =
            FORMAT_PARAMETERS.iter().find(|(name, ..)| self.name.eq_ignore_ascii_case(name))?;
        let written = self.fmtp.as_deref().unwrap_or_default().split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case(parameter).then(|| value.trim())
        });
        Some(written.unwrap_or(default))
    }
}

/// What another leg is offered so that nothing has to be transcoded: what `remote` has listed, with its numbers, those of
/// `preferred` first, keys last and only with `dtmf`. Codecs nobody here can decode are among them: they are passed on.
///
/// Redundant audio (`red`, RFC 2198) is left out: it names other payload types by number, and those may change here.
pub fn offerable(remote: &RemoteAudio, preferred: &[String], dtmf: bool) -> Vec<Codec> {
    let rank = |codec: &Codec| {
        let named = preferred.iter().position(|name| name.eq_ignore_ascii_case(&codec.name));
        (!codec.is_audio(), named.unwrap_or(usize::MAX))
    };
    let is_passed_on =
        |codec: &&Codec| !codec.name.eq_ignore_ascii_case("red") && (dtmf || !codec.is_telephone_event());
    let mut codecs: Vec<_> = remote.codecs.iter().filter(is_passed_on).cloned().collect();
    codecs.sort_by_key(rank);
    codecs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::Direction;

    fn named(payload_type: u8, name: &str, clock_rate: u32, channels: u8) -> Codec {
        Codec::plain((payload_type, name, clock_rate, channels))
    }

    #[test]
    fn codecs_match_by_what_they_are_not_by_their_numbers() {
        assert!(Codec::pcmu().matches(&named(101, "pcmu", 8_000, 1)));
        assert!(!Codec::pcmu().matches(&Codec::pcma()));
        assert!(!named(10, "L16", 44_100, 2).matches(&named(11, "L16", 44_100, 1)));
        assert!(!Codec::telephone_event(101).matches(&named(101, "telephone-event", 48_000, 1)));
    }

    #[test]
    fn two_packings_of_amr_are_two_codecs() {
        let packed = named(97, "AMR", 8_000, 1);
        let aligned = Codec { fmtp: Some("mode-set=7; octet-align=1".into()), ..packed.clone() };
        let says_packed = Codec { fmtp: Some("octet-align=0".into()), ..packed.clone() };
        assert!(!packed.matches(&aligned));
        assert!(packed.matches(&says_packed));
    }

    #[test]
    fn a_configuration_names_sounds_only() {
        assert_eq!(Codec::by_name("pcma"), Some(Codec::pcma()));
        assert_eq!(Codec::by_name("telephone-event"), None);
        assert_eq!(Codec::by_name("CN"), None);
        assert_eq!(Codec::by_name("PCMX"), None);
        assert!(Codec::names().all(|name| Codec::by_name(name).is_some()));
    }

    #[test]
    fn another_leg_is_offered_what_the_caller_can_do_with_the_preferred_first() {
        let opus = Codec { fmtp: Some("useinbandfec=1".into()), ..named(111, "opus", 48_000, 2) };
        let event = Codec::telephone_event(126);
        let caller = RemoteAudio {
            rtp: None,
            rtcp: None,
            codecs: vec![
                named(121, "red", 48_000, 2),
                opus.clone(),
                named(13, "CN", 8_000, 1),
                Codec::pcma(),
                event.clone(),
                Codec::pcmu(),
            ],
            direction: Direction::SendRecv,
            ptime: None,
            maxptime: None,
            sealing: Default::default(),
        };
        let preferred = ["PCMU".to_owned(), "pcma".to_owned()];

        let with_keys = offerable(&caller, &preferred, true);
        let noise = named(13, "CN", 8_000, 1);
        assert_eq!(with_keys, [Codec::pcmu(), Codec::pcma(), opus, noise, event.clone()]);

        let without_keys = offerable(&caller, &preferred, false);
        assert!(!without_keys.contains(&event));
    }
}
