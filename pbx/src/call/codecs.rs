//! The codecs of a leg in view of the other one: what both can do first, then what can be made of it here.

use super::Context;
use super::dial::{trunk_name, trunk_of};
use crate::audio::Coding;
use crate::config::Dtmf;
use crate::route::Caller;
use crate::sdp::{Agreement, Codec, RemoteAudio, offerable};
use crate::sdp::{Negotiation, Srtp};
use crate::srtp::MasterKey;

/// What was configured for the media of somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Manners {
    pub(super) srtp: Srtp,
    pub(super) dtmf: Dtmf,
}

impl Context {
    /// What was configured for who calls.
    pub(super) fn manners_of(&self, caller: &Caller) -> Manners {
        match caller {
            Caller::Extension(number) => self.manners_named(number),
            Caller::Trunk(name) => self.manners_named(&trunk_name(name)),
            Caller::Anonymous => Manners::default(),
        }
    }

    /// What was configured for who has this name as a leg.
    pub(super) fn manners_named(&self, leg: &str) -> Manners {
        match trunk_of(leg) {
            Some(name) => {
                let trunk = self.config.trunks.iter().find(|trunk| trunk.name == name);
                trunk.map(|trunk| Manners { srtp: trunk.srtp, dtmf: trunk.dtmf })
            }
            None => {
                let extension = self.config.extensions.iter().find(|extension| extension.number == leg);
                extension.map(|extension| Manners { srtp: extension.srtp, dtmf: extension.dtmf })
            }
        }
        .unwrap_or_default()
    }

    /// A session in which nothing was offered, with keys of its own where it may be sealed.
    pub(super) fn new_negotiation(&mut self, manners: Manners) -> Negotiation {
        let negotiation = Negotiation::new(self.rng.u64() >> 2, "-");
        if manners.srtp == Srtp::Off {
            return negotiation;
        }
        let mut key = || {
            let mut bytes = [0; MasterKey::LENGTH];
            self.rng.fill(&mut bytes);
            MasterKey::from_bytes(bytes)
        };
        let keys = [key(), key()];
        negotiation.sealed(manners.srtp, keys)
    }

    /// The codecs that the PBX can make and understand itself, in order of preference, then keys.
    pub(super) fn own_codecs(&self) -> Vec<Codec> {
        let keys = self.config.media.enable_dtmf.then(|| Codec::telephone_event(101));
        self.own_sounds().chain(keys).collect()
    }

    /// What a leg is offered where the other one has listed `remote`: the same, so that nothing has to be converted; behind
    /// it what we can make of it, so that two who have no codec in common can talk.
    pub(super) fn codecs_offered(&self, remote: &RemoteAudio) -> Vec<Codec> {
        let media = &self.config.media;
        let offered = offerable(remote, &media.preferred_codecs, media.enable_dtmf);
        let (mut codecs, rest): (Vec<_>, Vec<_>) = offered.into_iter().partition(Codec::is_audio);
        if codecs.iter().any(is_made_here) {
            self.add_own_sounds(&mut codecs);
        }
        codecs.extend(rest);
        self.add_keys(&mut codecs);
        codecs
    }

    /// The same for a leg that has said before what it can: where it knows something of `remote`, that alone, lest it stays with
    /// what it has and everything has to be converted.
    pub(super) fn codecs_reoffered(&self, remote: &RemoteAudio, known: Option<&RemoteAudio>) -> Vec<Codec> {
        let is_known =
            |codec: &Codec| known.is_some_and(|known| known.codecs.iter().any(|own| own.matches(codec)));
        let mut codecs = self.codecs_offered(remote);
        if remote.codecs.iter().any(|codec| codec.is_audio() && is_known(codec)) {
            codecs.retain(|codec| {
                !codec.is_audio() || remote.codecs.iter().any(|listed| listed.matches(codec))
            });
        }
        codecs
    }

    /// What a leg that has listed `remote` is answered or offered where the other one has agreed: the same; only where
    /// nothing of it is in common, what we can make of it.
    pub(super) fn codecs_answered(&self, agreed: &Agreement, remote: Option<&RemoteAudio>) -> Vec<Codec> {
        let (mut codecs, rest): (Vec<_>, Vec<_>) = agreed.codecs.iter().cloned().partition(Codec::is_audio);
        let is_shared = |codec: &Codec| {
            remote.is_some_and(|remote| remote.codecs.iter().any(|theirs| theirs.matches(codec)))
        };
        if !codecs.iter().any(is_shared) && codecs.first().is_some_and(is_made_here) {
            self.add_own_sounds(&mut codecs);
        }
        codecs.extend(rest);
        codecs.extend(agreed.telephone_event.clone());
        self.add_keys(&mut codecs);
        codecs
    }

    /// Keys, for whom the other leg has none: they are turned into tones for it.
    fn add_keys(&self, codecs: &mut Vec<Codec>) {
        let is_needed = !codecs.iter().any(Codec::is_telephone_event);
        if self.config.media.enable_dtmf && is_needed && codecs.first().is_some_and(is_made_here) {
            codecs.push(Codec::telephone_event(101));
        }
    }

    fn add_own_sounds(&self, codecs: &mut Vec<Codec>) {
        for own in self.own_sounds() {
            if !codecs.iter().any(|listed| listed.matches(&own)) {
                codecs.push(own);
            }
        }
    }

    fn own_sounds(&self) -> impl Iterator<Item = Codec> {
        let preferred = self.config.media.preferred_codecs.iter();
        preferred.filter_map(|name| Codec::by_name(name)).filter(is_made_here)
    }
}

/// Whether two legs that have agreed on these need nothing else: both talk in the same codec, or have none in common and it is
/// converted here.
pub(super) fn in_line(one: &[Codec], other: &[Codec]) -> bool {
    let (Some(first), Some(second)) = (one.first(), other.first()) else { return true };
    let have_common = one.iter().any(|codec| other.iter().any(|theirs| theirs.matches(codec)));
    first.matches(second) || (!have_common && is_made_here(first) && is_made_here(second))
}

/// Whether it can be turned into sound here, and sound into it.
pub(super) fn is_made_here(codec: &Codec) -> bool {
    Coding::named(&codec.name, codec.clock_rate, codec.channels).is_some()
}
