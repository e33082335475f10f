//! Mixes by command: who stands behind one of two who talk, and conferences.

use super::Context;
use super::calls::Calls;
use super::command::{Answer, Code, Part, Refusal, done, done_with};
use super::controlled::Doing;
use super::mixes::Rule;
use crate::boundary::What;
use crate::media::{MixId, RoomId};
use std::collections::BTreeMap;

/// Conferences by command at a time.
const CONFERENCES: usize = 1_000;

impl Calls {
    /// A supervisor takes part in a talk, or takes another part in it.
    pub(crate) fn supervise(
        &mut self,
        supervisor: &str,
        target: &str,
        part: Part,
        context: &mut Context,
    ) -> Answer {
        let (own, agent) = self.supervisor_and_target(supervisor, target)?;
        let mix = match self.call(agent).and_then(|call| call.doing()) {
            Some(Doing::Mixed(mix)) => self.mix_of_talk(mix, agent, context)?,
            Some(Doing::Bridged(customer)) => {
                self.part(own, None, context);
                let supervisors = BTreeMap::new();
                let mix = context.new_mix(Rule::Supervision { agent, customer, supervisors });
                self.mix_in(mix, agent);
                self.mix_in(mix, customer);
                mix
            }
            Some(Doing::Parked) | None => return Err(Refusal::state(format!("{target:?} talks to nobody"))),
        };
        if self.call(own).and_then(|call| call.doing()) != Some(Doing::Mixed(mix)) {
            self.part(own, None, context);
        }
        if let Some(Rule::Supervision { supervisors, .. }) = context.mixes.rule(mix) {
            supervisors.insert(own, part);
        }
        self.mix_in(mix, own);
        self.tune_all(mix, context);
        let (supervisor, target) = (supervisor.to_owned(), target.to_owned());
        context.tell(&supervisor.clone(), What::SupervisionStarted { supervisor, target, part: part.name() });
        done()
    }

    /// A supervisor leaves a talk; it is parked, and the two go on.
    pub(crate) fn stop_supervising(
        &mut self,
        supervisor: &str,
        target: &str,
        context: &mut Context,
    ) -> Answer {
        let (own, agent) = self.supervisor_and_target(supervisor, target)?;
        match self.call(own).and_then(|call| call.doing()) {
            Some(Doing::Mixed(mix))
                if self.call(agent).and_then(|call| call.doing()) == Some(Doing::Mixed(mix)) =>
            {
                self.leave_mix(mix, own, context);
                done()
            }
            _ => Err(Refusal::state(format!("{supervisor:?} does not supervise {target:?}"))),
        }
    }

    /// A supervisor takes the place of the one it stands behind, who is parked.
    pub(crate) fn take_over(&mut self, supervisor: &str, target: &str, context: &mut Context) -> Answer {
        let (own, agent) = self.supervisor_and_target(supervisor, target)?;
        let customer = match self.call(agent).and_then(|call| call.doing()) {
            Some(Doing::Bridged(customer)) => customer,
            Some(Doing::Mixed(mix)) => match context.mixes.rule(mix) {
                Some(Rule::Supervision { agent: of, customer, .. }) if *of == agent => {
                    let customer = *customer;
                    self.dissolve(mix, context);
                    customer
                }
                _ => return Err(Refusal::state(format!("{target:?} is in a conference"))),
            },
            Some(Doing::Parked) | None => return Err(Refusal::state(format!("{target:?} talks to nobody"))),
        };
        let answer = self.bridge(own, customer, context)?;
        let (supervisor, target) = (supervisor.to_owned(), target.to_owned());
        context.tell(&supervisor.clone(), What::SupervisorTookOver { supervisor, target });
        Ok(answer)
    }

    /// A conference that nobody is in yet.
    pub(crate) fn create_conference(
        &mut self,
        name: Option<String>,
        most: usize,
        context: &mut Context,
    ) -> Answer {
        let name = name.unwrap_or_else(|| format!("conf_{}", context.rng.token(8)));
        if context.mixes.conference(&name).is_some() {
            return Err(Refusal::new(Code::InvalidParams, format!("there is a conference {name:?} already")));
        }
        if context.mixes.conferences() >= CONFERENCES {
            return Err(Refusal::new(Code::RateLimited, format!("there are {CONFERENCES} conferences")));
        }
        context.new_mix(Rule::Conference { name: name.clone(), most, members: BTreeMap::new() });
        context.tell_all(What::ConferenceCreated { conference: name.clone() });
        done_with([("conf_id", name.into())])
    }

    /// A call comes into a conference.
    pub(crate) fn add_to_conference(&mut self, name: &str, call_id: &str, context: &mut Context) -> Answer {
        let (mix, room) = self.conference_and_call(name, call_id, context)?;
        self.call(room).ok_or_else(|| Refusal::no_call(call_id))?.in_hand()?;
        match context.mixes.rule(mix) {
            Some(Rule::Conference { members, .. }) if members.contains_key(&room) => {
                return Err(Refusal::state(format!("{call_id:?} is in the conference already")));
            }
            Some(Rule::Conference { members, most, .. }) if members.len() >= *most => {
                return Err(Refusal::new(
                    Code::RateLimited,
                    format!("the conference has {most} members, as it may"),
                ));
            }
            _ => {}
        }
        self.part(room, None, context);
        self.with(room, context, |call, context| call.stop_playing(context));
        if let Some(Rule::Conference { members, .. }) = context.mixes.rule(mix) {
            members.insert(room, false);
        }
        self.mix_in(mix, room);
        self.tune(room, context);
        context.tell(call_id, What::ConferenceJoined { conference: name.to_owned() });
        done()
    }

    /// A call leaves a conference; it is parked.
    pub(crate) fn remove_from_conference(
        &mut self,
        name: &str,
        call_id: &str,
        context: &mut Context,
    ) -> Answer {
        let (mix, room) = self.conference_and_call(name, call_id, context)?;
        self.member(mix, room, context)?;
        self.leave_mix(mix, room, context);
        done()
    }

    /// A member of a conference is heard no longer, or again.
    pub(crate) fn mute_in_conference(
        &mut self,
        name: &str,
        call_id: &str,
        muted: bool,
        context: &mut Context,
    ) -> Answer {
        let (mix, room) = self.conference_and_call(name, call_id, context)?;
        self.member(mix, room, context)?;
        if let Some(Rule::Conference { members, .. }) = context.mixes.rule(mix) {
            members.insert(room, muted);
        }
        if let Some(call) = self.call(room) {
            context.media_room = call.media_room;
        }
        context.set_gains(mix);
        context.tell(call_id, What::ConferenceMuted { conference: name.to_owned(), muted });
        done()
    }

    /// A conference is over; all who are in it are parked.
    pub(crate) fn destroy_conference(&mut self, name: &str, context: &mut Context) -> Answer {
        let mix = context.mixes.conference(name).ok_or_else(|| no_conference(name))?;
        let members = context.mixes.rule(mix).map(|rule| rule.members()).unwrap_or_default();
        members.into_iter().for_each(|room| self.leave_mix(mix, room, context));
        context.mixes.remove(mix);
        context.tell_all(What::ConferenceDestroyed { conference: name.to_owned() });
        done()
    }

    /// Somebody leaves a mix, by command or because its call is over.
    pub(super) fn leave_mix(&mut self, mix: MixId, room: RoomId, context: &mut Context) {
        context.step_out_of_mix(mix, room);
        self.park(room);
        let name = self.name_of(room);
        let ends = match context.mixes.rule(mix) {
            Some(Rule::Supervision { agent, supervisors, .. }) => {
                let target = self.name_of(*agent).unwrap_or_default();
                match supervisors.remove(&room) {
                    Some(_) => {
                        let supervisor = name.clone().unwrap_or_default();
                        context.tell(&supervisor.clone(), What::SupervisionStopped { supervisor, target });
                        matches!(context.mixes.rule(mix), Some(Rule::Supervision { supervisors, .. }) if supervisors.is_empty())
                    }
                    None => true,
                }
            }
            Some(Rule::Conference { name: conference, members, .. }) => {
                let conference = conference.clone();
                if members.remove(&room).is_some()
                    && let Some(name) = &name
                {
                    context.tell(name, What::ConferenceLeft { conference });
                }
                false
            }
            None => false,
        };
        if ends {
            self.dissolve(mix, context);
        }
        self.tune(room, context);
    }

    /// A talk is supervised no longer: the two are bridged again, if both are still there; supervisors are parked.
    fn dissolve(&mut self, mix: MixId, context: &mut Context) {
        let Some(Rule::Supervision { agent, customer, supervisors }) = context.mixes.remove(mix) else {
            return;
        };
        let target = self.name_of(agent).unwrap_or_default();
        for room in supervisors.into_keys() {
            self.park(room);
            let supervisor = self.name_of(room).unwrap_or_default();
            let target = target.clone();
            context.tell(&supervisor.clone(), What::SupervisionStopped { supervisor, target });
            self.tune(room, context);
        }
        let is_there = |calls: &mut Calls, room| {
            calls.call(room).is_some_and(|call| call.doing() == Some(Doing::Mixed(mix)))
        };
        let both = [(agent, customer), (customer, agent)];
        let (one, other) = (is_there(self, agent), is_there(self, customer));
        for (room, peer) in both {
            if let Some(controlled) = self.call(room).and_then(|call| call.controlled())
                && controlled.doing == Doing::Mixed(mix)
            {
                controlled.doing = if one && other { Doing::Bridged(peer) } else { Doing::Parked };
            }
        }
        match (one, other) {
            (true, true) => self.tune(agent, context),
            (false, false) => {}
            (left, _) => {
                let (left, gone) = if left { (agent, customer) } else { (customer, agent) };
                let (left_name, gone) =
                    (self.name_of(left).unwrap_or_default(), self.name_of(gone).unwrap_or_default());
                context.tell(&left_name.clone(), What::CallUnbridged { leg_a: left_name, leg_b: gone });
                self.tune(left, context);
            }
        }
    }

    fn mix_in(&mut self, mix: MixId, room: RoomId) {
        if let Some(controlled) = self.call(room).and_then(|call| call.controlled()) {
            controlled.doing = Doing::Mixed(mix);
        }
    }

    fn tune_all(&mut self, mix: MixId, context: &mut Context) {
        let members = context.mixes.rule(mix).map(|rule| rule.members()).unwrap_or_default();
        for room in members {
            self.tune(room, context);
            if let Some(call) = self.call(room) {
                context.media_room = call.media_room;
            }
        }
        context.set_gains(mix);
    }

    fn mix_of_talk(&mut self, mix: MixId, agent: RoomId, context: &mut Context) -> Result<MixId, Refusal> {
        match context.mixes.rule(mix) {
            Some(Rule::Supervision { agent: of, .. }) if *of == agent => Ok(mix),
            Some(Rule::Supervision { .. }) => {
                Err(Refusal::state("the one it talks to is supervised already"))
            }
            _ => Err(Refusal::state("it is in a conference")),
        }
    }

    fn supervisor_and_target(&mut self, supervisor: &str, target: &str) -> Result<(RoomId, RoomId), Refusal> {
        let own = self.room_of(supervisor).ok_or_else(|| Refusal::no_call(supervisor))?;
        let agent = self.room_of(target).ok_or_else(|| Refusal::no_call(target))?;
        if own == agent {
            return Err(Refusal::new(Code::InvalidParams, "nobody supervises itself"));
        }
        for (room, name) in [(own, supervisor), (agent, target)] {
            self.call(room).ok_or_else(|| Refusal::no_call(name))?.in_hand()?;
        }
        Ok((own, agent))
    }

    fn conference_and_call(
        &mut self,
        name: &str,
        call_id: &str,
        context: &Context,
    ) -> Result<(MixId, RoomId), Refusal> {
        let mix = context.mixes.conference(name).ok_or_else(|| no_conference(name))?;
        let room = self.room_of(call_id).ok_or_else(|| Refusal::no_call(call_id))?;
        Ok((mix, room))
    }

    fn member(&self, mix: MixId, room: RoomId, context: &mut Context) -> Result<(), Refusal> {
        match context.mixes.rule(mix) {
            Some(Rule::Conference { members, .. }) if members.contains_key(&room) => Ok(()),
            _ => Err(Refusal::state("the call is not in the conference")),
        }
    }
}

fn no_conference(name: &str) -> Refusal {
    Refusal::new(Code::InvalidParams, format!("conf_id: there is no conference {name:?}"))
}
