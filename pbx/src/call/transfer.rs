//! A call goes to somebody else: blindly, or after whoever has it has talked to that one.
//!
//! Three take part (RFC 5589): the *transferee*, who goes; the *transferor*, whom it talks to and who leaves; the *target*.
//! The target is rung as a call of its own, the consultation. Whatever goes wrong, transferee and transferor talk again as
//! before, if both are still there.

use super::Context;
use super::call::{Call, Origin};
use super::calls::Calls;
use super::command::{Answer, Code, Originate, Refusal, Ticket, done, done_with};
use super::controlled::Doing;
use crate::boundary::What;
use crate::cdr::{EndedBy, Why};
use crate::dialog::RequestId;
use crate::media::RoomId;
use crate::route::{Caller, Decision};
use crate::sip::{Method, Name, Request, StatusCode};
use crate::time::Duration;
use std::collections::BTreeMap;

/// Transfers that are under way, by the name of the consultation.
#[derive(Default)]
pub(super) struct Transfers(BTreeMap<String, Transfer>);

struct Transfer {
    transferee: RoomId,
    transferor: Option<RoomId>,
    target: String,
    consultation: Consultation,
    /// It is completed as soon as the target answers.
    blind: bool,
    /// The transferor's telephone has asked for it and is told how it comes along.
    asked: bool,
}

/// What is done for a telephone that has asked for a transfer to a number.
pub(super) struct Errand {
    pub(super) transferee: RoomId,
    pub(super) transferor: RoomId,
    pub(super) number: String,
    pub(super) decision: Decision,
    /// On whose behalf it is called there.
    pub(super) party: Caller,
    /// The value of Referred-By (RFC 3892).
    pub(super) by: String,
}

/// With whom is talked before.
enum Consultation {
    /// Somebody who is rung, and whether it has answered.
    Call(RoomId, bool),
    /// An application of the dial plan: it answers at once, and nobody talks to it before.
    Application(Decision),
    /// One to which who was rung has forwarded.
    Elsewhere(Decision),
}

/// A REFER that is under way.
#[derive(Debug)]
pub(super) struct Referral {
    pub(super) target: String,
    /// Until it is answered.
    pub(super) request: Option<RequestId>,
}

impl Transfers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is somebody to whom a call may be transferred.
    pub(super) fn has(&self, consultation: &str) -> bool {
        self.0.contains_key(consultation)
    }

    /// Whether a call takes part in one.
    pub(super) fn concern(&self, room: RoomId) -> bool {
        self.0.values().any(|transfer| {
            let is_rung = matches!(transfer.consultation, Consultation::Call(rung, _) if rung == room);
            transfer.transferee == room || transfer.transferor == Some(room) || is_rung
        })
    }

    /// The call of the telephone that has asked for this one to be rung, if it is still there.
    pub(super) fn asked_by(&self, rung: RoomId) -> Option<RoomId> {
        let is_its = |transfer: &&Transfer| {
            transfer.asked && matches!(transfer.consultation, Consultation::Call(room, _) if room == rung)
        };
        self.0.values().find(is_its)?.transferor
    }
}

impl Calls {
    /// The transferee is put on hold and the target is rung; the transferor talks to it first.
    pub(crate) fn transfer_attended(
        &mut self,
        call_id: &str,
        target: &str,
        patience: Duration,
        context: &mut Context,
    ) -> Answer {
        let (transferee, consultation) = self.begin_transfer(call_id, target, patience, false, context)?;
        self.with(transferee, context, |call, context| call.hold(None, None, context));
        self.tune(transferee, context);
        done_with([("original_call_id", call_id.into()), ("consultation_call_id", consultation.into())])
    }

    /// The target is rung, and gets the transferee when it answers; the transferor is hung up then.
    pub(crate) fn transfer_blind(
        &mut self,
        call_id: &str,
        target: &str,
        patience: Duration,
        context: &mut Context,
    ) -> Answer {
        let (_, consultation) = self.begin_transfer(call_id, target, patience, true, context)?;
        if let Some(Transfer { consultation: Consultation::Application(_), .. }) =
            self.transfers.0.get(&consultation)
        {
            self.complete(&consultation, context);
        }
        done_with([("call_id", call_id.into()), ("transfer_call_id", consultation.into())])
    }

    /// The target is rung, or serves the transferee at once; the telephone that has asked for it is told.
    pub(super) fn run_errand(&mut self, errand: Errand, context: &mut Context) {
        let Errand { transferee, transferor, number, decision, party, by } = errand;
        let Some(call) = self.call(transferee) else {
            return self.reported(transferor, StatusCode::REQUEST_TERMINATED, context);
        };
        let (call_id, caller, of_context) =
            (call.facts.call_id.clone(), call.number(), call.context().to_owned());
        let root = Some(call.facts.root.clone());
        let name = format!("consult-{call_id}-{}", context.rng.token(4));
        let with = match decision {
            decision if !decision.is_application() => {
                let order = Originate {
                    call_id: Some(name.clone()),
                    destination: number.clone(),
                    caller_id: Some(caller),
                    patience: super::referral::PATIENCE,
                    context: of_context,
                    headers: vec![("Referred-By".to_owned(), by)],
                    record: None,
                    music: None,
                    root,
                };
                match self.originate_to(order, number.clone(), decision, party, context) {
                    Ok(room) => Consultation::Call(room, false),
                    Err(_) => return self.reported(transferor, StatusCode::SERVICE_UNAVAILABLE, context),
                }
            }
            application => {
                let owner = self.call(transferor).map(|call| call.number()).unwrap_or_default();
                Consultation::Application(context.to_mailbox_of(&owner, application))
            }
        };
        context.tell(&call_id, What::TransferAccepted { target: number.clone() });
        let is_application = matches!(with, Consultation::Application(_));
        let transfer = Transfer {
            transferee,
            transferor: Some(transferor),
            target: number,
            consultation: with,
            blind: true,
            asked: true,
        };
        self.transfers.0.insert(name.clone(), transfer);
        match is_application {
            true => self.complete(&name, context),
            false => {
                self.with(transferee, context, |call, context| call.hear_ringing(context));
                self.tune(transferee, context);
            }
        }
    }

    /// A call that was ordered leads to an application of the dial plan, as who was called forwards there: whoever waits to
    /// be put through gets that application; nobody else can.
    pub(super) fn on_led_elsewhere(&mut self, room: RoomId, decision: Decision, context: &mut Context) {
        let is_its = |transfer: &Transfer| matches!(transfer.consultation, Consultation::Call(rung, _) if rung == room);
        let found = self.transfers.0.iter_mut().find(|(_, transfer)| transfer.blind && is_its(transfer));
        let name = found.map(|(name, transfer)| {
            transfer.consultation = Consultation::Elsewhere(decision);
            name.clone()
        });
        self.with(room, context, |call, context| {
            let status = Some(StatusCode::TEMPORARILY_UNAVAILABLE);
            call.end(EndedBy::Pbx, "it was forwarded to where nobody can be rung", status, context);
        });
        if let Some(name) = name {
            self.complete(&name, context);
        }
    }

    /// Whether it is somebody to whom a call may be transferred.
    pub(crate) fn is_consultation(&self, call_id: &str) -> bool {
        self.transfers.has(call_id)
    }

    /// Those consultations that talk, or are to talk, to whom somebody would reach by this order.
    pub(crate) fn consultations_with(&self, order: &Originate, context: &mut Context) -> Vec<String> {
        let Ok(wanted) = self.destination(order, context) else { return Vec::new() };
        let mut leads_there = |transfer: &Transfer| {
            let to_target = Originate { destination: transfer.target.clone(), ..order.clone() };
            self.destination(&to_target, context).is_ok_and(|reached| reached == wanted)
        };
        let consulted = self.transfers.0.iter().filter(|(_, transfer)| !transfer.blind);
        consulted.filter(|(_, transfer)| leads_there(transfer)).map(|(name, _)| name.clone()).collect()
    }

    /// Transferee and target talk, and the transferor is hung up.
    pub(crate) fn complete_transfer(
        &mut self,
        call_id: &str,
        consultation: &str,
        context: &mut Context,
    ) -> Answer {
        let transfer =
            self.transfers.0.get(consultation).ok_or_else(|| Refusal::no_consultation(consultation))?;
        if self.room_of(call_id) != Some(transfer.transferee) {
            return Err(Refusal::new(
                Code::InvalidParams,
                format!("{consultation:?} is no consultation of {call_id:?}"),
            ));
        }
        if let Consultation::Call(_, false) = transfer.consultation {
            return Err(Refusal::state(format!("{:?} has not answered yet", transfer.target)));
        }
        self.complete(consultation, context);
        done()
    }

    /// The consultation is over, and transferee and transferor talk again.
    pub(crate) fn cancel_transfer(&mut self, consultation: &str, context: &mut Context) -> Answer {
        let transfer =
            self.transfers.0.remove(consultation).ok_or_else(|| Refusal::no_consultation(consultation))?;
        if let Consultation::Application(_) = transfer.consultation {
            end_of(consultation, "cancelled", context);
        }
        self.fail(transfer, 487, "cancelled", context);
        done()
    }

    fn begin_transfer(
        &mut self,
        call_id: &str,
        target: &str,
        patience: Duration,
        blind: bool,
        context: &mut Context,
    ) -> Result<(RoomId, String), Refusal> {
        let transferee = self.room_of(call_id).ok_or_else(|| Refusal::no_call(call_id))?;
        let call = self.call(transferee).ok_or_else(|| Refusal::no_call(call_id))?;
        let (caller, root) = (call.facts.caller.clone(), call.facts.root.clone());
        let of_context = call.context().to_owned();
        let transferor = match call.in_hand()?.doing {
            Doing::Bridged(peer) => Some(peer),
            Doing::Parked => None,
            Doing::Mixed(_) => return Err(Refusal::state("more than two talk")),
        };
        if self.transfers.0.values().any(|transfer| transfer.transferee == transferee) {
            return Err(Refusal::state("the call is being transferred already"));
        }
        let consultation = format!("consult-{call_id}-{}", context.rng.token(4));
        let order = Originate {
            call_id: Some(consultation.clone()),
            destination: target.to_owned(),
            caller_id: Some(caller),
            patience,
            context: of_context,
            headers: Vec::new(),
            record: None,
            music: None,
            root: Some(root),
        };
        let (_, decision) = self.destination(&order, context)?;
        let with = match decision {
            Decision::NotFound | Decision::Reject { .. } => {
                return Err(Refusal::new(Code::InvalidParams, format!("target: {target:?} leads nowhere")));
            }
            decision if !decision.is_application() => {
                self.originate(order, context)?;
                let room =
                    self.room_of(&consultation).ok_or_else(|| Refusal::state("the target cannot be rung"))?;
                Consultation::Call(room, false)
            }
            application => {
                let owner = transferor.and_then(|room| self.call(room)).map(|call| call.number());
                Consultation::Application(context.to_mailbox_of(&owner.unwrap_or_default(), application))
            }
        };
        let is_application = matches!(with, Consultation::Application(_));
        let transfer = Transfer {
            transferee,
            transferor,
            target: target.to_owned(),
            consultation: with,
            blind,
            asked: false,
        };
        self.transfers.0.insert(consultation.clone(), transfer);
        context.tell(call_id, What::TransferAccepted { target: target.to_owned() });
        if is_application && !blind {
            context.tell(&consultation, What::CallAnswered { by: target.to_owned() });
        }
        Ok((transferee, consultation))
    }

    /// A call was answered or is over, how: whoever waits for it goes on.
    pub(super) fn on_changed(&mut self, room: RoomId, ended: Option<u16>, context: &mut Context) {
        let is_up = self.call(room).is_some_and(|call| call.controlled().is_some());
        let names: Vec<String> = self.transfers.0.keys().cloned().collect();
        for name in names {
            let Some(transfer) = self.transfers.0.get_mut(&name) else { continue };
            match &mut transfer.consultation {
                Consultation::Call(target, answered) if *target == room && is_up && !*answered => {
                    *answered = true;
                    let (transferor, blind) = (transfer.transferor, transfer.blind);
                    match transferor {
                        _ if blind => self.complete(&name, context),
                        Some(transferor) => drop(self.bridge(transferor, room, context)),
                        None => {}
                    }
                }
                Consultation::Call(target, _) if *target == room && !is_up => {
                    if let Some(transfer) = self.transfers.0.remove(&name) {
                        self.fail(transfer, ended.unwrap_or(0), "the target is gone", context);
                    }
                }
                _ if transfer.transferee == room && !is_up => {
                    if let Some(transfer) = self.transfers.0.remove(&name) {
                        self.on_transferee_gone(&name, &transfer, context);
                    }
                }
                _ if transfer.transferor == Some(room) && !is_up => transfer.transferor = None,
                _ => {}
            }
        }
    }

    fn complete(&mut self, consultation: &str, context: &mut Context) {
        let consultation_name = consultation.to_owned();
        let Some(transfer) = self.transfers.0.remove(consultation) else { return };
        let Transfer { transferee, transferor, target, consultation, asked, .. } = transfer;
        self.release(transferee, context);
        self.with(transferee, context, |call, context| call.listen_again(context));
        match consultation {
            Consultation::Call(room, _) => {
                if self.bridge(transferee, room, context).is_err() {
                    return;
                }
                self.hand_on_recording(transferor, transferee, room, context);
                self.tell_transferred(transferee, &target, context);
            }
            Consultation::Application(decision) => {
                self.part(transferee, None, context);
                self.tell_transferred(transferee, &target, context);
                self.with(transferee, context, |call, context| call.be_served(decision, context));
                end_of(&consultation_name, Why::Transferred, context);
            }
            Consultation::Elsewhere(decision) => {
                self.part(transferee, None, context);
                self.tell_transferred(transferee, &target, context);
                self.with(transferee, context, |call, context| call.be_served(decision, context));
            }
        }
        match transferor {
            Some(transferor) if asked => self.reported(transferor, StatusCode::OK, context),
            Some(transferor) => {
                self.with(transferor, context, |call, context| {
                    call.end(EndedBy::Pbx, Why::Transferred, None, context);
                });
            }
            None => {}
        }
    }

    fn tell_transferred(&mut self, transferee: RoomId, target: &str, context: &mut Context) {
        if let Some(name) = self.live_name(transferee) {
            context.tell(&name, What::Transferred { target: target.to_owned() });
        }
    }

    /// What is recorded of a talk goes on with whoever comes in the place of the one who leaves it.
    pub(super) fn hand_on_recording(
        &mut self,
        leaves: Option<RoomId>,
        stays: RoomId,
        comes: RoomId,
        context: &mut Context,
    ) {
        if let Some(leaves) = leaves {
            self.keep_recording(leaves, stays);
        }
        let Some(recording) = self.call(stays).and_then(|call| call.recording) else { return };
        let mut stream = |room| self.call(room).and_then(|call| call.caller.stream());
        let (Some(own), Some(other)) = (stream(stays), stream(comes)) else { return };
        self.with(stays, context, |call, context| {
            context.adopt_recording(recording, &call.facts.call_id, own, other);
        });
    }

    /// What is recorded of a talk belongs to the one who stays: whoever leaves may do so at once.
    pub(super) fn keep_recording(&mut self, leaves: RoomId, stays: RoomId) {
        let recording = self.call(leaves).and_then(|call| call.recording.take());
        if let (Some(recording), Some(call)) = (recording, self.call(stays)) {
            call.recording = call.recording.or(Some(recording));
        }
    }

    /// As it was before, if both are still there.
    fn fail(&mut self, transfer: Transfer, status: u16, reason: &str, context: &mut Context) {
        let Transfer { transferee, transferor, target: _, consultation, asked, .. } = transfer;
        if let Consultation::Call(room, _) = consultation {
            self.with(room, context, |call, context| {
                if !call.has_ended() {
                    call.end(EndedBy::Pbx, reason, None, context);
                }
            });
        }
        self.release(transferee, context);
        if let Some(transferor) = transferor
            && self.call(transferee).and_then(|call| call.doing()) != Some(Doing::Bridged(transferor))
        {
            // Who is gone in between is told of by its own end.
            drop(self.bridge(transferee, transferor, context));
        }
        if asked {
            self.with(transferee, context, |call, context| {
                call.stop_playing(context);
                call.listen_again(context);
            });
        }
        self.tune(transferee, context);
        if let Some(name) = self.live_name(transferee) {
            context.tell(&name, What::TransferFailed { status, reason: reason.to_owned() });
        }
        if asked {
            self.give_back(transferee, transferor, status, context);
        }
    }

    /// The transferor hears why nothing came of it; where it is gone, the transferee hears that nothing did.
    fn give_back(
        &mut self,
        transferee: RoomId,
        transferor: Option<RoomId>,
        status: u16,
        context: &mut Context,
    ) {
        let status = StatusCode::new(status).filter(|status| status.code() >= 300);
        match transferor {
            Some(transferor) => {
                self.reported(transferor, status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE), context);
            }
            None => {
                let (frequency, duration) = super::referral::SORRY;
                let sorry = Decision::Tone { frequency, duration, answer_delay: Duration::ZERO };
                self.with(transferee, context, |call, context| {
                    if call.controlled().is_some() {
                        call.be_served(sorry, context);
                    }
                });
            }
        }
    }

    /// Nobody is left to be transferred: a target that still rings is not to, one that talks to the transferor may go on.
    fn on_transferee_gone(&mut self, name: &str, transfer: &Transfer, context: &mut Context) {
        if let Some(transferor) = transfer.transferor.filter(|_| transfer.asked) {
            self.reported(transferor, StatusCode::REQUEST_TERMINATED, context);
        }
        if let Consultation::Application(_) = transfer.consultation {
            end_of(name, "the transferee has hung up", context);
        }
        if let Consultation::Call(room, false) = transfer.consultation {
            self.with(room, context, |call, context| {
                call.end(EndedBy::Caller, "the transferee has hung up", None, context);
            });
        }
    }

    /// Takes a call off hold, as soon as that can be.
    fn release(&mut self, room: RoomId, context: &mut Context) {
        self.with(room, context, |call, context| call.release(context));
    }
}

impl Call {
    /// Asks the telephone itself to go to the target (REFER, RFC 3515); the answer comes with its response, and NOTIFY says
    /// what became of it.
    pub(super) fn refer(&mut self, target: &str, ticket: Ticket, context: &mut Context) -> Option<Answer> {
        let domain = context.config.sip.domain.clone();
        let controlled = match self.in_hand() {
            Ok(controlled) => controlled,
            Err(refusal) => return Some(Err(refusal)),
        };
        if controlled.referral.is_some() {
            return Some(Err(Refusal::state("the telephone was asked already")));
        }
        let address = match target.strip_suffix("@local") {
            Some(user) => format!("{user}@{domain}"),
            None => target.to_owned(),
        };
        let session = self.caller.session?;
        let headers = vec![
            ("Refer-To".to_owned(), format!("<{address}>")),
            ("Referred-By".to_owned(), format!("<sip:pbx@{domain}>")),
        ];
        let sent = context.agent.request_within(session, Method::Refer, headers, None, context.now);
        context.own_request(sent);
        let controlled = self.controlled()?;
        controlled.referral = Some(Referral { target: target.to_owned(), request: Some(sent) });
        controlled.sent.wait_for(sent, ticket);
        None
    }

    /// The answer to REFER has come.
    pub(super) fn on_referred(&mut self, request: RequestId, accepted: bool, context: &mut Context) {
        let Some(controlled) = self.controlled() else { return };
        let Some(referral) = &mut controlled.referral else { return };
        if referral.request != Some(request) {
            return;
        }
        referral.request = None;
        let target = referral.target.clone();
        if !accepted {
            controlled.referral = None;
        } else {
            context.tell(&self.facts.call_id, What::TransferAccepted { target });
        }
    }

    /// NOTIFY on its leg: of a transfer, or of something that somebody may want to know. `false`: nobody does.
    pub(super) fn on_notify(&mut self, request: &Request, context: &mut Context) -> bool {
        if self.controlled().is_none() {
            return false;
        }
        let event = request.headers().get(Name::Event).unwrap_or_default().to_owned();
        let body = String::from_utf8_lossy(request.body()).into_owned();
        let is_of_referral =
            event.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("refer"));
        let referral =
            self.controlled().and_then(|controlled| controlled.referral.take_if(|_| is_of_referral));
        let Some(referral) = referral else {
            let content_type = request.headers().get(Name::ContentType).unwrap_or_default().to_owned();
            context.tell(&self.facts.call_id, What::NotifyReceived { event, content_type, body });
            return true;
        };
        match status_of_fragment(&body) {
            Some(status) if status >= 300 => {
                let reason = "the target has refused".to_owned();
                context.tell(&self.facts.call_id, What::TransferFailed { status, reason });
            }
            Some(status) if status >= 200 => {
                context.tell(&self.facts.call_id, What::Transferred { target: referral.target });
                self.end(EndedBy::Pbx, Why::Transferred, None, context);
            }
            Some(_) | None => {
                if let Some(controlled) = self.controlled() {
                    controlled.referral = Some(referral);
                }
            }
        }
        true
    }

    /// A text has come on its leg.
    pub(super) fn tell_of_message(&self, request: &Request, context: &mut Context) {
        let content_type = request.headers().get(Name::ContentType).unwrap_or("text/plain").to_owned();
        let body = String::from_utf8_lossy(request.body()).into_owned();
        context.tell(&self.facts.call_id, What::MessageReceived { content_type, body });
    }

    /// What its applications call the group it belongs to.
    pub(super) fn context(&self) -> &str {
        match &self.origin {
            Origin::Application(order) => &order.context,
            Origin::Caller => &self.of_context,
        }
    }
}

/// A consultation that was no call is over.
fn end_of(consultation: &str, why: impl Into<Why>, context: &mut Context) {
    context.tell(consultation, What::CallEnded { by: EndedBy::Pbx, status: 200, why: why.into() });
}

/// The status in a `message/sipfrag` (RFC 3420).
fn status_of_fragment(body: &str) -> Option<u16> {
    let line = body.lines().find(|line| line.starts_with("SIP/2.0 "))?;
    line.split(' ').nth(1)?.parse().ok()
}
