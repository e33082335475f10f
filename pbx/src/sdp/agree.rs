//! What two lists of codecs have in common, and what follows from it.

use super::{Agreement, Codec, Direction, RemoteAudio};

/// Packet time where nobody says another, milliseconds (RFC 3551 section 4.2).
const PTIME: u8 = 20;

/// The longest packet time we send with, milliseconds: it has to fit into the jitter buffers of telephones.
const LONGEST_PTIME: u8 = 60;

/// The codecs of both lists, in the order of `leading`, each with the number of `other`: once as `leading` has them and
/// once as `other` has them. Keys are among them where their clock is that of an audio codec (RFC 4733 section 2.1).
pub(super) fn common(leading: &[Codec], other: &[Codec]) -> (Vec<Codec>, Vec<Codec>) {
    let mut pairs: Vec<(Codec, &Codec)> = Vec::new();
    for codec in leading {
        let is_new =
            |theirs: &&Codec| !pairs.iter().any(|(_, taken)| taken.payload_type == theirs.payload_type);
        let Some(theirs) = other.iter().filter(is_new).find(|theirs| theirs.matches(codec)) else { continue };
        // Where we have nothing to say about a format, we take it as it is offered (RFC 3264 section 6.1).
        let fmtp = codec.fmtp.clone().or_else(|| theirs.fmtp.clone());
        pairs.push((Codec { payload_type: theirs.payload_type, fmtp, ..codec.clone() }, theirs));
    }
    let clocks: Vec<_> =
        pairs.iter().filter(|(codec, _)| codec.is_audio()).map(|(codec, _)| codec.clock_rate).collect();
    pairs.retain(|(codec, _)| !codec.is_telephone_event() || clocks.contains(&codec.clock_rate));
    pairs.into_iter().map(|(ours, theirs)| (ours, theirs.clone())).unzip()
}

/// What holds when `common` are the codecs that both sides have, with their numbers, and `wanted` is the direction we
/// asked for. `None` where no codec carries sound.
pub(super) fn agreement(common: Vec<Codec>, remote: &RemoteAudio, wanted: Direction) -> Option<Agreement> {
    let (events, mut codecs): (Vec<_>, Vec<_>) = common.into_iter().partition(Codec::is_telephone_event);
    // Comfort noise is nobody's first choice, wherever it stands.
    codecs.sort_by_key(|codec| !codec.is_audio());
    let first = codecs.first().filter(|codec| codec.is_audio())?;
    let telephone_event = events.into_iter().find(|event| event.clock_rate == first.clock_rate);
    let direction = wanted.limited_by(remote.direction);
    let (renumbered, ptime) = (Vec::new(), packet_time(remote));
    Some(Agreement {
        remote: remote.clone(),
        codecs,
        telephone_event,
        renumbered,
        direction,
        ptime,
        protection: None,
    })
}

/// What the other side asks for, in steps of 10 ms and never above its maximum (RFC 8866 section 6.4).
fn packet_time(remote: &RemoteAudio) -> u8 {
    let most = remote.maxptime.unwrap_or(LONGEST_PTIME).min(LONGEST_PTIME);
    let wished = remote.ptime.unwrap_or(PTIME).min(most);
    if wished < 10 { most.min(10) } else { wished - wished % 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comfort_noise_is_never_what_we_talk_with() {
        let (noise, pcma) = (Codec::of_static(13).expect("CN"), Codec::pcma());
        let remote = remote(&[noise.clone(), pcma.clone()]);
        let agreed = agreement(vec![noise.clone(), pcma.clone()], &remote, Direction::SendRecv);
        assert_eq!(agreed.map(|agreed| agreed.codecs), Some(vec![pcma, noise.clone()]));
        assert_eq!(agreement(vec![noise], &remote, Direction::SendRecv), None);
    }

    #[test]
    fn keys_go_by_the_clock_of_the_voice() {
        let opus =
            Codec { clock_rate: 48_000, channels: 2, name: "opus".into(), ..Codec::telephone_event(111) };
        let wide = Codec { clock_rate: 48_000, ..Codec::telephone_event(110) };
        let narrow = Codec::telephone_event(126);
        let all = [opus.clone(), Codec::pcmu(), narrow.clone(), wide.clone()];

        let (ours, _) = common(&all, &[Codec::pcmu(), wide.clone(), narrow.clone()]);
        assert_eq!(ours, [Codec::pcmu(), narrow.clone()], "no voice has the clock of the other keys");

        let agreed = agreement(all.to_vec(), &remote(&all), Direction::SendRecv).expect("two voices");
        assert_eq!(agreed.telephone_event, Some(wide));
    }

    #[test]
    fn packets_are_as_long_as_the_other_side_likes_within_reason() {
        let time = |ptime, maxptime| packet_time(&RemoteAudio { ptime, maxptime, ..remote(&[]) });
        assert_eq!(time(None, None), 20);
        assert_eq!(time(Some(30), None), 30);
        assert_eq!(time(Some(25), None), 20);
        assert_eq!(time(Some(200), None), 60);
        assert_eq!(time(Some(40), Some(20)), 20);
        assert_eq!(time(None, Some(15)), 10);
        assert_eq!(time(Some(1), None), 10);
        assert_eq!(time(None, Some(5)), 5);
    }

    fn remote(codecs: &[Codec]) -> RemoteAudio {
        let codecs = codecs.to_vec();
        RemoteAudio {
            rtp: None,
            rtcp: None,
            codecs,
            direction: Direction::SendRecv,
            ptime: None,
            maxptime: None,
            sealing: Default::default(),
        }
    }
}
