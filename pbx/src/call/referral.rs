//! A telephone asks for a transfer (REFER, RFC 3515): the one it talks to is to talk to somebody else from now on.
//!
//! The talk is taken apart into two calls in hand, and from there on it is a transfer like any other (`transfer.rs`): blindly
//! to a number of the dial plan, or, where Refer-To names another talk by Replaces (RFC 5589 section 7), to the one at its
//! other end. How it comes along is told by NOTIFY; a transfer that fails gives the talk back.

use super::Context;
use super::call::{Call, Origin, Stage, Timer};
use super::calls::Calls;
use super::command::{Play, Sound};
use super::controlled::{Controlled, Doing};
use super::dial::trunk_of;
use super::transfer::Errand;
use crate::cdr::{EndedBy, Why};
use crate::dialog::{Body, ExtraHeaders, Reply, RequestId, SessionId, Standing};
use crate::media::RoomId;
use crate::route::{self, Access, Caller, Decision};
use crate::sdp::Direction;
use crate::sip::{Method, Name, NameAddr, Replaces, Request, StatusCode, Uri, unescape};
use crate::time::Duration;

/// How long a telephone may take to leave by itself when the one it talked to is with somebody else.
const LEAVE: Duration = Duration::from_secs(2);

/// How long the target is rung at most, its forwards included.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// How long the one who asked is told how it comes along, in seconds.
const SUBSCRIPTION: u64 = PATIENCE.as_secs() + 30;

/// The longest number that is dialled.
const NUMBER: usize = 64;

/// What somebody who is left hears after a transfer that came to nothing, in Hz, and for how long.
pub(super) const SORRY: (f64, Duration) = (425.0, Duration::from_secs(3));

/// A REFER that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refer {
    room: RoomId,
    session: SessionId,
    request: RequestId,
    /// CSeq, which is the `id` of what is told (RFC 3515 section 2.4.6).
    number: u32,
    /// Who is to be called.
    target: String,
    /// The value of Replaces in it.
    replaces: Option<String>,
    referred_by: Option<String>,
    /// It wants to be told what becomes of it; not so with `Refer-Sub: false` (RFC 4488).
    is_told: bool,
}

/// What a telephone was promised that has asked for a transfer: to tell it how it comes along.
#[derive(Debug)]
pub(super) struct Promise {
    number: u32,
    is_told: bool,
    /// The NOTIFY that is not answered yet, and what it says.
    telling: Option<(RequestId, StatusCode)>,
    /// What is to be said after it.
    next: Option<StatusCode>,
}

/// Where a REFER leads.
enum Goal {
    /// A number of the dial plan.
    Number(String, Decision),
    /// The other end of this talk, in whose place the transferee comes.
    Talk(SessionId),
    /// The number that the transferor is ringing in this call, which is given up for it.
    Ringing(RoomId, String, Decision),
}

impl Refer {
    fn read(
        room: RoomId,
        session: SessionId,
        request: RequestId,
        refer: &Request,
    ) -> Result<Refer, StatusCode> {
        let headers = refer.headers();
        let mut lines = headers.all(Name::ReferTo);
        let (Some(line), None) = (lines.next(), lines.next()) else { return Err(StatusCode::BAD_REQUEST) };
        let address = NameAddr::parse(line).map_err(|_| StatusCode::BAD_REQUEST)?;
        let uri = Uri::parse(address.uri).map_err(|_| StatusCode::BAD_REQUEST)?;
        // Somebody may be asked to send other requests than INVITE, or to another kind of address; we only call.
        if !uri.is_sip() && !uri.is_tel() {
            return Err(StatusCode::UNSUPPORTED_URI_SCHEME);
        }
        if uri.params.get("method").is_some_and(|method| !method.eq_ignore_ascii_case("INVITE")) {
            return Err(StatusCode::DECLINE);
        }
        let within = uri.headers.into_iter().flat_map(|headers| headers.split('&'));
        let replaces = within
            .filter_map(|header| header.split_once('='))
            .find(|(name, _)| name.eq_ignore_ascii_case("Replaces"))
            .map(|(_, value)| unescape(value).into_owned());
        let says_no =
            headers.named("Refer-Sub").is_some_and(|value| value.trim().eq_ignore_ascii_case("false"));
        Ok(Refer {
            room,
            session,
            request,
            number: refer.cseq().map_or(0, |cseq| cseq.number),
            target: route::dialled(address.uri.split('?').next().unwrap_or_default()),
            replaces,
            referred_by: headers.get(Name::ReferredBy).map(str::to_owned),
            is_told: !says_no,
        })
    }
}

impl Calls {
    /// Does what a telephone has asked for, or says why not.
    pub(super) fn refer(&mut self, refer: &Refer, context: &mut Context) {
        if let Err(status) = self.try_to_refer(refer, context) {
            context.agent.reply(refer.request, Reply::new(status), context.now);
        }
    }

    fn try_to_refer(&mut self, refer: &Refer, context: &mut Context) -> Result<(), StatusCode> {
        let call = self.call(refer.room).ok_or(StatusCode::DECLINE)?;
        call.may_be_taken_apart()?;
        let (party, domain) = (call.party(refer.session), context.config.sip.domain.clone());
        if self.is_being_transferred(refer.room) {
            return Err(StatusCode::REQUEST_PENDING);
        }
        let goal = self.goal(refer, &party, context)?;
        let (transferor, transferee) = self.both_of(refer.room, refer.session, context)?;
        self.keep_recording(transferor, transferee);
        let by = refer.referred_by.clone().unwrap_or_else(|| {
            let number = self.call(transferor).map(|call| call.number()).unwrap_or_default();
            format!("<sip:{}@{domain}>", crate::sip::escape_user(&number))
        });
        // Who takes part is known; what follows is done.
        let mut accepted = Reply::new(StatusCode::ACCEPTED);
        if !refer.is_told {
            accepted.headers.push(("Refer-Sub".into(), "false".into()));
        }
        context.agent.reply(refer.request, accepted, context.now);
        self.with(transferor, context, |call, context| {
            call.promise(refer.number, refer.is_told);
            call.report(StatusCode::TRYING, context);
        });
        match goal {
            Goal::Talk(session) => self.join_talks(transferee, transferor, session, context),
            Goal::Number(number, decision) => {
                let errand = Errand { transferee, transferor, number, decision, party, by };
                self.run_errand(errand, context);
            }
            Goal::Ringing(room, number, decision) => {
                self.with(room, context, |call, context| {
                    let status = Some(StatusCode::REQUEST_TERMINATED);
                    call.end(EndedBy::Pbx, "somebody else is put through", status, context);
                });
                let errand = Errand { transferee, transferor, number, decision, party, by };
                self.run_errand(errand, context);
            }
        }
        Ok(())
    }

    /// Where it leads, if the one who asks may call there.
    fn goal(&mut self, refer: &Refer, party: &Caller, context: &mut Context) -> Result<Goal, StatusCode> {
        let Some(replaces) = &refer.replaces else {
            let decision = self.reachable(&refer.target, refer.room, party, context)?;
            return Ok(Goal::Number(refer.target.clone(), decision));
        };
        let replaces = Replaces::parse(replaces).map_err(|_| StatusCode::BAD_REQUEST)?;
        let (session, standing) = context.agent.named(&replaces).ok_or(StatusCode::NOT_FOUND)?;
        let room = context.books.sessions.get(&session).copied().ok_or(StatusCode::NOT_FOUND)?;
        let is_this_one = room == refer.room
            || self.call(room).and_then(|call| call.doing()) == Some(Doing::Bridged(refer.room));
        match standing {
            _ if is_this_one => Err(StatusCode::NOT_ACCEPTABLE_HERE),
            Standing::Confirmed if self.is_being_transferred(room) => Err(StatusCode::REQUEST_PENDING),
            Standing::Confirmed => {
                self.call(room).ok_or(StatusCode::NOT_FOUND)?.may_be_taken_apart()?;
                Ok(Goal::Talk(session))
            }
            Standing::EarlyByThem => {
                let number = self.call(room).ok_or(StatusCode::NOT_FOUND)?.facts.dialled.clone();
                let decision = self.reachable(&number, refer.room, party, context)?;
                Ok(Goal::Ringing(room, number, decision))
            }
            Standing::EarlyByUs | Standing::Over => Err(StatusCode::NOT_FOUND),
        }
    }

    /// What a number leads to for who asks for a transfer; it may not go where that one may not call.
    fn reachable(
        &mut self,
        number: &str,
        room: RoomId,
        party: &Caller,
        context: &mut Context,
    ) -> Result<Decision, StatusCode> {
        if number.is_empty() || number.len() > NUMBER || number.contains(['@', '<', '>', ' ']) {
            return Err(StatusCode::NOT_FOUND);
        }
        let source = self.call(room).map(|call| call.caller.path.remote.ip()).ok_or(StatusCode::DECLINE)?;
        let routed = context.route(number, party, source);
        let may_lead_out = matches!(party, Caller::Trunk(name) if context.config.trunks.iter()
            .any(|trunk| trunk.name == *name && trunk.transfers_out));
        match route::access(&routed, party) {
            Access::Open => {}
            Access::Forbidden if may_lead_out => {}
            Access::Forbidden | Access::NeedsAuthentication => return Err(StatusCode::FORBIDDEN),
        }
        match routed.decision {
            Decision::NotFound => Err(StatusCode::NOT_FOUND),
            Decision::Reject { status, .. } => Err(status),
            decision => Ok(decision),
        }
    }

    /// The calls of who has this session and of the one it talks to, which are two from now on.
    pub(super) fn both_of(
        &mut self,
        room: RoomId,
        session: SessionId,
        context: &mut Context,
    ) -> Result<(RoomId, RoomId), StatusCode> {
        self.take_apart(room, context).map_err(|_| StatusCode::REQUEST_PENDING)?;
        let own = context.books.sessions.get(&session).copied().ok_or(StatusCode::DECLINE)?;
        match self.call(own).and_then(|call| call.doing()) {
            Some(Doing::Bridged(other)) => Ok((own, other)),
            Some(Doing::Parked | Doing::Mixed(_)) | None => Err(StatusCode::DECLINE),
        }
    }

    /// The transferee and the one at the other end of the named talk hear each other; both ends of the transferor are over.
    fn join_talks(
        &mut self,
        transferee: RoomId,
        transferor: RoomId,
        named: SessionId,
        context: &mut Context,
    ) {
        let room = context.books.sessions.get(&named).copied().unwrap_or(transferor);
        let Ok((named, peer)) = self.both_of(room, named, context) else {
            return self.reported(transferor, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST, context);
        };
        // Whichever end of its other talk the transferor has named, it is its own that goes.
        let who = |room: RoomId, calls: &mut Calls| calls.call(room).map(|call| call.number());
        let (leaves, target) = match who(peer, self) == who(transferor, self) {
            true => (peer, named),
            false => (named, peer),
        };
        if self.bridge(transferee, target, context).is_err() {
            return self.reported(transferor, StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST, context);
        }
        for room in [transferee, target] {
            self.with(room, context, |call, context| call.listen_again(context));
        }
        self.hand_on_recording(Some(transferor), transferee, target, context);
        // One recording of the two who talk now is enough.
        for room in [target, leaves] {
            self.with(room, context, |call, context| call.stop_recording(context));
        }
        let number = self.call(target).map(|call| call.number()).unwrap_or_default();
        if let Some(name) = self.live_name(transferee) {
            context.tell(&name, crate::boundary::What::Transferred { target: number });
        }
        self.with(leaves, context, |call, context| {
            call.end(EndedBy::Pbx, "somebody else was put through", None, context);
        });
        self.reported(transferor, StatusCode::OK, context);
    }

    /// Whether it, or the one it talks to, takes part in a transfer.
    pub(super) fn is_being_transferred(&mut self, room: RoomId) -> bool {
        let peer = match self.call(room).and_then(|call| call.doing()) {
            Some(Doing::Bridged(peer)) => peer,
            Some(Doing::Parked | Doing::Mixed(_)) | None => room,
        };
        self.transfers.concern(room) || self.transfers.concern(peer)
    }

    /// The one who has asked for a transfer hears how it comes along; after the last word of a transfer that was done it
    /// leaves, or is hung up.
    pub(super) fn reported(&mut self, transferor: RoomId, status: StatusCode, context: &mut Context) {
        self.with(transferor, context, |call, context| call.report(status, context));
    }

    /// What was ordered rings: who has asked for it is told.
    pub(super) fn on_rings(&mut self, room: RoomId, context: &mut Context) {
        if let Some(transferor) = self.transfers.asked_by(room) {
            self.reported(transferor, StatusCode::RINGING, context);
        }
    }

    /// Whether a call hears nobody, waits for nothing and is not on its way to anybody.
    pub(crate) fn is_left_alone(&mut self, call_id: &str) -> bool {
        let Some(room) = self.room_of(call_id) else { return false };
        let is_on_its_way = self.transfers.concern(room);
        let call = self.call(room);
        !is_on_its_way
            && call.is_some_and(|call| match &call.stage {
                Stage::Controlled(Controlled {
                    doing: Doing::Parked,
                    promise: None,
                    waits: None,
                    offered: None,
                    ..
                }) => !call.is_about_to_leave(),
                _ => false,
            })
    }
}

impl Call {
    /// REFER has come on one of its legs.
    pub(super) fn on_refer(
        &mut self,
        session: SessionId,
        id: RequestId,
        request: &Request,
        context: &mut Context,
    ) {
        match Refer::read(self.room, session, id, request) {
            Ok(refer) => context.wish(super::controlled::Wish::Refer(Box::new(refer))),
            Err(status) => context.agent.reply(id, Reply::new(status), context.now),
        }
    }

    /// Whether two talk in it who can be parted now; else how a REFER is refused (RFC 3515 section 2.4.2).
    pub(super) fn may_be_taken_apart(&self) -> Result<(), StatusCode> {
        match &self.stage {
            Stage::Talking(_) if self.is_changing() => Err(StatusCode::REQUEST_PENDING),
            Stage::Talking(_) => Ok(()),
            Stage::Controlled(Controlled { promise: Some(_), .. }) => Err(StatusCode::REQUEST_PENDING),
            Stage::Controlled(Controlled { doing: Doing::Bridged(_), .. }) => Ok(()),
            _ => Err(StatusCode::DECLINE),
        }
    }

    /// Who has this session, as the dial plan knows people.
    pub(super) fn party(&self, session: SessionId) -> Caller {
        let name = match &self.stage {
            Stage::Talking(callee) if callee.session == Some(session) => &callee.name,
            _ if self.is_callee || matches!(self.origin, Origin::Application(_)) => &self.caller.name,
            _ => return self.invitation.caller.clone(),
        };
        match trunk_of(name) {
            Some(trunk) => Caller::Trunk(trunk.to_owned()),
            None => Caller::Extension(name.clone()),
        }
    }

    /// The number of the one whose leg a call in hand is.
    pub(super) fn number(&self) -> String {
        let is_called = self.is_callee || matches!(self.origin, Origin::Application(_));
        match (is_called, &self.invitation.caller) {
            (true, _) if trunk_of(&self.caller.name).is_some() => self.facts.dialled.clone(),
            (true, _) => self.caller.name.clone(),
            (false, Caller::Extension(number)) => number.clone(),
            (false, Caller::Trunk(_) | Caller::Anonymous) => self.facts.caller.clone(),
        }
    }

    /// From now on its telephone is told how a transfer comes along.
    fn promise(&mut self, number: u32, is_told: bool) {
        if let Some(controlled) = self.controlled() {
            controlled.promise = Some(Promise { number, is_told, telling: None, next: None });
        }
    }

    /// Tells its telephone how the transfer that it has asked for comes along; a final status is the last word.
    pub(super) fn report(&mut self, status: StatusCode, context: &mut Context) {
        let Some(session) = self.caller.session else { return };
        let Some(promise) = self.controlled().and_then(|controlled| controlled.promise.as_mut()) else {
            // It has heard enough before; there is nothing left to be told but that it is over.
            return self.leave_after(status, context);
        };
        if !promise.is_told {
            return self.keep_promise(status, context);
        }
        if promise.telling.is_some() {
            promise.next = Some(status);
            return;
        }
        let (headers, body) = promise.words(status);
        let sent = context.agent.request_within(session, Method::Notify, headers, Some(body), context.now);
        promise.telling = Some((sent, status));
        context.own_request(sent);
    }

    /// A NOTIFY of a transfer was answered; `false`: it was none.
    pub(super) fn on_report_heard(&mut self, id: RequestId, is_heard: bool, context: &mut Context) -> bool {
        let Some(promise) = self.controlled().and_then(|controlled| controlled.promise.as_mut()) else {
            return false;
        };
        let Some((_, said)) = promise.telling.take_if(|(request, _)| *request == id) else { return false };
        match promise.next.take() {
            Some(next) if is_heard => self.report(next, context),
            // Who does not want to hear it any longer is told no more (RFC 6665 section 4.2.2).
            Some(next) => self.keep_promise(next, context),
            None if said.is_final() => self.keep_promise(said, context),
            None => {}
        }
        true
    }

    /// The call is over: nobody is told any more.
    pub(super) fn break_promise(&mut self, context: &mut Context) {
        let promise = self.controlled().and_then(|controlled| controlled.promise.take());
        if let Some((telling, _)) = promise.and_then(|promise| promise.telling) {
            context.books.requests.remove(&telling);
        }
    }

    /// While the target is rung, the transferee hears that it rings.
    pub(super) fn hear_ringing(&mut self, context: &mut Context) {
        let play = Play { sound: Sound::Ringback, repeats: true, until_key: false };
        self.play_for_us(play, context);
    }

    /// Who was put on hold by the one it talked to talks again.
    pub(super) fn listen_again(&mut self, context: &mut Context) {
        let Some(agreed) = self.caller.negotiation.agreed() else { return };
        let is_held = matches!(agreed.direction, Direction::SendOnly | Direction::Inactive)
            && matches!(agreed.remote.direction, Direction::RecvOnly | Direction::Inactive);
        let holds = self.controlled().is_none_or(|controlled| controlled.hold.is_some());
        if is_held && !holds && !self.is_changing() {
            self.offer_to_talk(context);
        }
    }

    /// Its telephone has had time to leave.
    pub(super) fn on_leave(&mut self, context: &mut Context) {
        self.end(EndedBy::Pbx, Why::Transferred, None, context);
    }

    fn keep_promise(&mut self, status: StatusCode, context: &mut Context) {
        if !status.is_final() {
            return;
        }
        self.break_promise(context);
        self.leave_after(status, context);
    }

    fn leave_after(&mut self, status: StatusCode, context: &mut Context) {
        if status.is_success() || self.doing() == Some(Doing::Parked) {
            self.set_timer(Timer::Leave, LEAVE, context);
        }
    }
}

impl Promise {
    fn words(&self, status: StatusCode) -> (ExtraHeaders, Body) {
        let state = match status.is_final() {
            true => "terminated;reason=noresource".to_owned(),
            false => format!("active;expires={SUBSCRIPTION}"),
        };
        let headers = vec![
            ("Event".to_owned(), format!("refer;id={}", self.number)),
            ("Subscription-State".to_owned(), state),
        ];
        let fragment = format!("SIP/2.0 {} {}\r\n", status.code(), status.reason());
        let content_type = "message/sipfrag;version=2.0".to_owned();
        (headers, Body { content_type, bytes: fragment.into_bytes() })
    }
}
