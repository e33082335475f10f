//! Who hears whom where more than two do: a supervisor beside two who talk, a conference by command.
//!
//! A mix here is only a list and a rule; the media engine is told of it member by member, as each comes to hear it
//! ([`Call::tune`](super::call::Call::tune)).

use super::Context;
use super::command::Part;
use crate::audio::Gain;
use crate::boundary::What;
use crate::media::{Command, MixId, RoomId, StreamId};
use std::collections::BTreeMap;

/// All mixes that are held by command.
#[derive(Default)]
pub(super) struct Mixes {
    held: BTreeMap<MixId, Mix>,
}

/// One of them.
pub(super) struct Mix {
    pub(super) rule: Rule,
    /// Those who hear it now.
    entered: BTreeMap<RoomId, StreamId>,
}

/// Who hears whom.
pub(super) enum Rule {
    /// Two who talk, and who stands behind the first of them.
    Supervision { agent: RoomId, target: String, customer: RoomId, supervisors: BTreeMap<RoomId, Part> },
    /// All hear each other, but for those who are muted.
    Conference { name: String, most: usize, members: BTreeMap<RoomId, bool> },
}

impl Rule {
    /// How loud one is for another.
    fn gain(&self, from: RoomId, to: RoomId) -> Gain {
        match self {
            Rule::Supervision { agent, supervisors, .. } => {
                match (supervisors.get(&from), supervisors.get(&to)) {
                    (Some(part), None) => {
                        let (for_agent, for_customer) = part.voice();
                        if to == *agent { for_agent } else { for_customer }
                    }
                    // Two supervisors of one talk do not disturb each other.
                    (Some(_), Some(_)) => Gain::NOTHING,
                    (None, _) => Gain::UNITY,
                }
            }
            Rule::Conference { members, .. } => match members.get(&from) {
                Some(false) => Gain::UNITY,
                Some(true) | None => Gain::NOTHING,
            },
        }
    }

    /// All who belong to it.
    pub(super) fn members(&self) -> Vec<RoomId> {
        match self {
            Rule::Supervision { agent, customer, supervisors, .. } => {
                [*agent, *customer].into_iter().chain(supervisors.keys().copied()).collect()
            }
            Rule::Conference { members, .. } => members.keys().copied().collect(),
        }
    }
}

impl Mixes {
    /// Whether nobody is in one; a conference may be held for those to come.
    pub(super) fn are_empty(&self) -> bool {
        self.held
            .values()
            .all(|mix| matches!(&mix.rule, Rule::Conference { members, .. } if members.is_empty()))
    }

    pub(super) fn rule(&mut self, mix: MixId) -> Option<&mut Rule> {
        self.held.get_mut(&mix).map(|mix| &mut mix.rule)
    }

    /// The conference of this name.
    pub(super) fn conference(&self, wanted: &str) -> Option<MixId> {
        let is_it = |mix: &Mix| matches!(&mix.rule, Rule::Conference { name, .. } if name == wanted);
        self.held.iter().find(|(_, mix)| is_it(mix)).map(|(id, _)| *id)
    }

    /// How many conferences are held.
    pub(super) fn conferences(&self) -> usize {
        self.held.values().filter(|mix| matches!(mix.rule, Rule::Conference { .. })).count()
    }

    pub(super) fn remove(&mut self, mix: MixId) -> Option<Rule> {
        self.held.remove(&mix).map(|mix| mix.rule)
    }
}

impl Context {
    /// A mix with this rule, which nobody hears yet.
    pub(super) fn new_mix(&mut self, rule: Rule) -> MixId {
        let id = self.conferences.new_mix();
        self.mixes.held.insert(id, Mix { rule, entered: BTreeMap::new() });
        id
    }

    /// Somebody comes to hear a mix, and to be heard in it.
    pub(super) fn enter_mix(&mut self, id: MixId, room: RoomId, stream: StreamId) {
        let Some(mix) = self.mixes.held.get_mut(&id) else { return };
        mix.entered.insert(room, stream);
        self.media(Command::Join { mix: id, stream, voice: Gain::NOTHING });
        self.set_gains(id);
    }

    /// The call of somebody who belongs to it is over, and says so while it is there. What that means for the others is
    /// seen when it is.
    pub(super) fn say_farewell(&mut self, id: MixId, room: RoomId, call_id: &str) {
        let what = match self.mixes.rule(id) {
            Some(Rule::Conference { name, members, .. }) => {
                let conference = name.clone();
                members.remove(&room).map(|_| What::ConferenceLeft { conference })
            }
            Some(Rule::Supervision { target, supervisors, .. }) => {
                let (supervisor, target) = (call_id.to_owned(), target.clone());
                supervisors.remove(&room).map(|_| What::SupervisionStopped { supervisor, target })
            }
            None => None,
        };
        if let Some(what) = what {
            self.tell(call_id, what);
        }
    }

    /// Somebody hears it no longer, for now.
    pub(super) fn step_out_of_mix(&mut self, id: MixId, room: RoomId) {
        if let Some(mix) = self.mixes.held.get_mut(&id) {
            mix.entered.remove(&room);
        }
    }

    /// The rule has changed.
    pub(super) fn set_gains(&mut self, id: MixId) {
        let Some(mix) = self.mixes.held.get(&id) else { return };
        let pairs = mix.entered.iter().flat_map(|(from, speaker)| {
            let others = mix.entered.iter().filter(move |(to, _)| *to != from);
            others.map(move |(to, listener)| (mix.rule.gain(*from, *to), *speaker, *listener))
        });
        let commands: Vec<Command> =
            pairs.map(|(gain, from, to)| Command::Gain { mix: id, from, to, gain }).collect();
        commands.into_iter().for_each(|command| self.media(command));
    }
}
