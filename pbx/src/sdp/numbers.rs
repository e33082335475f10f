//! Payload types keep their meaning for the whole session (RFC 3264 section 8.3.2).

use super::Codec;
use std::ops::RangeInclusive;

/// Payload types without a fixed meaning (RFC 3551 section 6).
const DYNAMIC: RangeInclusive<u8> = 96..=127;

/// What payload types have meant so far in one session, each once; those we wrote last first.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers(Vec<Codec>);

impl Numbers {
    /// Gives each codec the number it has had; a new one keeps its own, or gets a free one where that is taken. A codec
    /// listed twice, or one for which no number is left, is left out.
    pub(super) fn assign(&self, codecs: &[Codec]) -> Vec<Codec> {
        let mut assigned: Vec<Codec> = Vec::with_capacity(codecs.len());
        for codec in codecs {
            let is_listed = assigned.iter().any(|other| other.matches(codec));
            let is_free =
                |number: &u8| !self.0.iter().chain(&assigned).any(|other| other.payload_type == *number);
            let known = self.0.iter().find(|bound| bound.matches(codec)).map(|bound| bound.payload_type);
            let own = Some(codec.payload_type).filter(is_free);
            let number = known.or(own).or_else(|| DYNAMIC.into_iter().find(is_free));
            if let (false, Some(payload_type)) = (is_listed, number) {
                assigned.push(Codec { payload_type, ..codec.clone() });
            }
        }
        assigned
    }

    /// We have written these.
    pub(super) fn wrote(&mut self, codecs: &[Codec]) {
        for codec in codecs.iter().rev() {
            self.0.retain(|bound| bound.payload_type != codec.payload_type);
            self.0.insert(0, codec.clone());
        }
    }

    /// The other side has written these. Should it give a number another meaning, ours gives way.
    pub(super) fn read(&mut self, codecs: &[Codec]) {
        for codec in codecs {
            match self.0.iter_mut().find(|bound| bound.payload_type == codec.payload_type) {
                Some(bound) if bound.matches(codec) => {}
                Some(bound) => *bound = codec.clone(),
                None => self.0.push(codec.clone()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dynamic(payload_type: u8, name: &str) -> Codec {
        Codec { payload_type, name: name.into(), clock_rate: 48_000, channels: 2, fmtp: None }
    }

    fn numbers(codecs: &[Codec]) -> Vec<u8> {
        codecs.iter().map(|codec| codec.payload_type).collect()
    }

    #[test]
    fn a_codec_keeps_the_number_it_has_had() {
        let mut bound = Numbers::default();
        bound.read(&[Codec::telephone_event(96)]);
        assert_eq!(numbers(&bound.assign(&[Codec::pcma(), Codec::telephone_event(101)])), [8, 96]);
    }

    #[test]
    fn a_number_that_is_taken_is_not_given_away() {
        let mut bound = Numbers::default();
        bound.wrote(&[dynamic(111, "opus")]);
        let given = bound.assign(&[dynamic(111, "EVS"), dynamic(96, "speex"), dynamic(96, "vorbis")]);
        assert_eq!(numbers(&given), [96, 97, 98]);
    }

    #[test]
    fn our_own_number_goes_before_the_other_sides() {
        let mut bound = Numbers::default();
        bound.wrote(&[Codec::telephone_event(101)]);
        bound.read(&[Codec::telephone_event(96)]);
        assert_eq!(numbers(&bound.assign(&[Codec::telephone_event(127)])), [101]);
    }

    #[test]
    fn where_the_other_side_changes_a_meaning_ours_gives_way() {
        let mut bound = Numbers::default();
        bound.wrote(&[Codec::telephone_event(101)]);
        bound.read(&[dynamic(101, "opus")]);
        assert_eq!(numbers(&bound.assign(&[Codec::telephone_event(101)])), [96]);
    }
}
