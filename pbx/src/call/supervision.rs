//! Supervision: somebody stands behind one of two who talk; and how a mix is left, by command or by hanging up.

use super::Context;
use super::calls::Calls;
use super::command::{Answer, Code, Part, Refusal, done};
use super::controlled::Doing;
use super::mixes::Rule;
use crate::boundary::What;
use crate::media::{MixId, RoomId};
use std::collections::BTreeMap;

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
        if self.talks_with(agent, context) == Some(own) {
            return Err(Refusal::state(format!("{supervisor:?} is the one {target:?} talks to")));
        }
        let mix = match self.call(agent).and_then(|call| call.doing()) {
            Some(Doing::Mixed(mix)) => self.mix_of_talk(mix, agent, context)?,
            Some(Doing::Bridged(customer)) => {
                self.part(own, None, context);
                let supervisors = BTreeMap::new();
                let target = target.to_owned();
                let mix = context.new_mix(Rule::Supervision { agent, target, customer, supervisors });
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
        if self.talks_with(agent, context) == Some(own) {
            return Err(Refusal::state(format!("{supervisor:?} is the one {target:?} talks to")));
        }
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

    /// Somebody leaves a mix, by command or because its call is over.
    pub(super) fn leave_mix(&mut self, mix: MixId, room: RoomId, context: &mut Context) {
        context.step_out_of_mix(mix, room);
        self.park(room);
        let name = self.name_of(room);
        let ends = match context.mixes.rule(mix) {
            Some(Rule::Supervision { agent, target, customer, supervisors }) => {
                let (target, talks) = (target.clone(), room == *agent || room == *customer);
                match supervisors.remove(&room) {
                    Some(_) => {
                        let supervisor = name.clone().unwrap_or_default();
                        context.tell(&supervisor.clone(), What::SupervisionStopped { supervisor, target });
                        matches!(context.mixes.rule(mix), Some(Rule::Supervision { supervisors, .. }) if supervisors.is_empty())
                    }
                    // Of a supervisor who has hung up only the others are left.
                    None => talks || supervisors.is_empty(),
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
        let Some(Rule::Supervision { agent, target, customer, supervisors }) = context.mixes.remove(mix)
        else {
            return;
        };
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

    /// Whom a call talks to, alone or with a supervisor beside it.
    fn talks_with(&mut self, room: RoomId, context: &mut Context) -> Option<RoomId> {
        match self.call(room)?.doing()? {
            Doing::Bridged(peer) => Some(peer),
            Doing::Mixed(mix) => match context.mixes.rule(mix) {
                Some(Rule::Supervision { agent, customer, .. }) if *agent == room => Some(*customer),
                Some(Rule::Supervision { agent, .. }) => Some(*agent),
                _ => None,
            },
            Doing::Parked => None,
        }
    }

    pub(super) fn mix_in(&mut self, mix: MixId, room: RoomId) {
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
}
