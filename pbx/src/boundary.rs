//! What crosses the boundary of the core: what the world tells the PBX, what the PBX wants, what is worth telling.

use crate::audio::Clip;
use crate::cdr;
use crate::config::{Config, Router, Webhook};
use crate::media;
use crate::sip::Path;
use crate::time::{Duration, Instant};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// What the world tells the PBX.
#[derive(Clone, Debug)]
pub enum Input {
    /// A datagram, or one framed message of a stream.
    Received {
        /// Where it came from.
        path: Path,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// What was sent on this path could not be sent, or the connection broke.
    PathFailed(Path),
    /// A media engine has news.
    Media(media::Event),
    /// The answer to [`Output::Resolve`]; empty when there is no such name.
    Resolved {
        /// Which question.
        query: u64,
        /// The addresses, in the order to try.
        addresses: Vec<SocketAddr>,
    },
    /// The answer to [`Output::Ask`].
    Routed {
        /// Which question.
        query: u64,
        /// What the service says, or why it says nothing.
        answer: Result<String, String>,
    },
    /// The answer to [`Output::ReadSound`].
    SoundRead {
        /// Which file.
        file: PathBuf,
        /// What is in it, or why it cannot be played.
        sound: Result<Arc<Clip>, String>,
    },
    /// The disk does not take a recording; it has ended.
    RecordingFailed {
        /// Which.
        recording: media::RecordingId,
        /// Why.
        reason: String,
    },
    /// The answer to [`Output::ListMessages`].
    MessagesListed(Vec<StoredMessage>),
    /// A client of RWI has come, said something, gone.
    Rwi(FromClient),
    /// Another configuration holds from now on; running calls go on as they are.
    Reconfigure(Box<Config>),
    /// No new calls from now on (503 with Retry-After); when the grace time is over the running ones end by BYE.
    Drain {
        /// The grace time.
        grace: Duration,
    },
}

/// What the PBX wants from the world.
#[derive(Clone, Debug)]
pub enum Output {
    /// Bytes to send.
    Transmit {
        /// Where; a stream is opened when there is none.
        path: Path,
        /// A whole message.
        bytes: Vec<u8>,
    },
    /// For the media engine of `room`.
    Media {
        /// All commands of one room go to one engine, in order.
        room: media::RoomId,
        /// What to do.
        command: media::Command,
    },
    /// Addresses of a name.
    Resolve {
        /// To know the answer by.
        query: u64,
        /// A host name.
        host: String,
        /// The port to put on each address.
        port: u16,
    },
    /// A web service is to say where a call goes. Answered in bounded time.
    Ask {
        /// To know the answer by.
        query: u64,
        /// Whom to ask, and how.
        to: Box<Router>,
        /// The facts, as JSON.
        text: String,
    },
    /// What is in a WAV file. Answered in bounded time, whatever the disk does.
    ReadSound {
        /// As the configuration names it.
        file: PathBuf,
    },
    /// A recording begins: what the media engine tells of it by [`media::Event::Recorded`] goes into a WAV file.
    OpenRecording {
        /// Which.
        recording: media::RecordingId,
        /// The file.
        file: PathBuf,
        /// How many channels it has.
        channels: u16,
    },
    /// A file with these bytes in the place of the old one, behind what was recorded before.
    SaveFile {
        /// The file.
        file: PathBuf,
        /// All of it.
        bytes: Vec<u8>,
    },
    /// These files are not needed any longer, behind what was recorded before.
    RemoveFiles(Vec<PathBuf>),
    /// What messages there are.
    ListMessages {
        /// Where.
        directory: PathBuf,
    },
    /// A call is over (exactly one record a call).
    Record(Box<cdr::Record>),
    /// A call was answered or changed: what to leave behind if we are killed now.
    Journal(Box<cdr::Record>),
    /// Something people and programs may want to know.
    Event(Event),
    /// Something for a client of RWI.
    Rwi(ToClient),
    /// An event for the webhook, as JSON.
    Webhook {
        /// Where to.
        to: Box<Webhook>,
        /// The JSON.
        text: String,
    },
    /// All calls have ended after [`Input::Drain`].
    Drained,
}

/// A message that was left, as the disk has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// The name of its files, without what follows the dot.
    pub name: String,
    /// What stands in the JSON file.
    pub about: String,
    /// Bytes of the WAV file; 0 where there is none.
    pub wav_bytes: u64,
}

/// A connection of a client of RWI. Never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// What the world tells of clients of RWI.
#[derive(Clone, Debug)]
pub enum FromClient {
    /// Somebody wants to connect; answered by [`ToClient::Admitted`] or [`ToClient::Refused`].
    Knock {
        /// To know it by.
        client: ClientId,
        /// What it shows.
        token: Option<String>,
    },
    /// A text frame.
    Frame {
        /// Whose.
        client: ClientId,
        /// The text.
        text: String,
    },
    /// The connection is over, or was cut off.
    Gone(ClientId),
}

/// What is wanted for clients of RWI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToClient {
    /// It may come in.
    Admitted {
        /// Who.
        client: ClientId,
        /// What it may resume later.
        session: String,
    },
    /// It may not.
    Refused {
        /// Who.
        client: ClientId,
        /// 401, or 503 where there are too many.
        status: u16,
    },
    /// A text frame.
    Frame {
        /// For whom.
        client: ClientId,
        /// The text.
        text: String,
    },
}

/// Something people and programs may want to know; emitted by the change of state itself.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: Instant,
    /// The call it belongs to.
    pub call_id: Option<String>,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A call came in.
    CallIncoming {
        /// The user part of From.
        caller: String,
        /// What was dialled.
        dialled: String,
        /// What it belongs to.
        context: String,
    },
    /// An application has ordered a call.
    CallCreated {
        /// The number it comes from.
        caller: String,
        /// Who is called.
        dialled: String,
        /// What it belongs to.
        context: String,
    },
    /// The web service does not say where a call goes; what holds then is done.
    NotRouted {
        /// Why: it completes "because ...".
        reason: String,
    },
    /// The callee rings.
    CallRinging,
    /// Who is called by order of an application can be heard before it answers.
    CallEarlyMedia,
    /// It was answered.
    CallAnswered {
        /// By whom.
        by: String,
    },
    /// What an application has ordered was not answered.
    CallUnanswered {
        /// What the other side said; 408 where it said nothing in time.
        status: u16,
    },
    /// Two calls hear each other.
    CallBridged {
        /// One.
        leg_a: String,
        /// The other.
        leg_b: String,
    },
    /// They no longer do.
    CallUnbridged {
        /// One, which is still up.
        leg_a: String,
        /// The other.
        leg_b: String,
    },
    /// Something is heard by who is in somebody's hand.
    PlayStarted {
        /// To know it by.
        track: String,
    },
    /// It is no longer heard.
    PlayFinished {
        /// To know it by.
        track: String,
        /// Whether it ended before its time.
        interrupted: bool,
    },
    /// A call is on hold.
    HoldStarted {
        /// `application`, or `telephone`: it has put whom it talks to on hold.
        by: &'static str,
    },
    /// It is on hold no longer.
    HoldStopped {
        /// As it began.
        by: &'static str,
    },
    /// The keys that were to be gathered.
    KeysCollected {
        /// In the order they were pressed, without the last one that ends it.
        keys: String,
    },
    /// Fewer keys than there should be.
    KeysMissing {
        /// Those that were pressed.
        keys: String,
    },
    /// A call is being transferred.
    TransferAccepted {
        /// Where to.
        target: String,
    },
    /// It was.
    Transferred {
        /// Where to.
        target: String,
    },
    /// It was not; it is as it was before.
    TransferFailed {
        /// What the target said; 0 where it said nothing.
        status: u16,
        /// Why, in words.
        reason: String,
    },
    /// A supervisor takes part in a talk, or takes another part.
    SupervisionStarted {
        /// The supervisor's call.
        supervisor: String,
        /// The call it stands behind.
        target: String,
        /// `listen`, `whisper`, `barge`.
        part: &'static str,
    },
    /// It does so no longer.
    SupervisionStopped {
        /// The supervisor's call.
        supervisor: String,
        /// The call it stood behind.
        target: String,
    },
    /// A supervisor has taken the place of the one it stood behind.
    SupervisorTookOver {
        /// The supervisor's call.
        supervisor: String,
        /// The call that is parked now.
        target: String,
    },
    /// There is a conference.
    ConferenceCreated {
        /// Its name.
        conference: String,
    },
    /// It is over.
    ConferenceDestroyed {
        /// Its name.
        conference: String,
    },
    /// A call has come into a conference.
    ConferenceJoined {
        /// Its name.
        conference: String,
    },
    /// It has left.
    ConferenceLeft {
        /// Its name.
        conference: String,
    },
    /// A member of a conference is heard no longer, or again.
    ConferenceMuted {
        /// Its name.
        conference: String,
        /// Whether it is not heard.
        muted: bool,
    },
    /// A call waits in a queue.
    QueueJoined {
        /// Its name.
        queue: String,
        /// Its place, from 1.
        position: usize,
    },
    /// It has moved up, or down.
    QueuePosition {
        /// Its name.
        queue: String,
        /// Its place, from 1.
        position: usize,
    },
    /// It waits no longer.
    QueueLeft {
        /// Its name.
        queue: String,
        /// `connected`, `dequeued`, `requeued`, `timeout`, `abandoned`.
        reason: &'static str,
    },
    /// It is given to nobody for a while, or is again.
    QueueHeld {
        /// Its name.
        queue: String,
        /// Whether it is held.
        held: bool,
    },
    /// It has waited as long as it may.
    QueueWaitTimeout {
        /// Its name.
        queue: String,
    },
    /// An agent is rung for it.
    QueueAgentOffered {
        /// Its name.
        queue: String,
        /// The agent.
        agent: String,
    },
    /// The agent has not answered.
    QueueAgentDeclined {
        /// Its name.
        queue: String,
        /// The agent.
        agent: String,
    },
    /// The agent has answered, and they talk.
    QueueAgentConnected {
        /// Its name.
        queue: String,
        /// The agent.
        agent: String,
        /// How long the caller has waited.
        waited: Duration,
    },
    /// A text came on the leg of a call.
    MessageReceived {
        /// Its type.
        content_type: String,
        /// What it says.
        body: String,
    },
    /// News came on the leg of a call.
    NotifyReceived {
        /// Of what.
        event: String,
        /// Their type.
        content_type: String,
        /// What they say.
        body: String,
    },
    /// It is over.
    CallEnded {
        /// Who has ended it.
        by: cdr::EndedBy,
        /// The final status the caller saw.
        status: u16,
        /// Why.
        why: cdr::Why,
    },
    /// Something could not be played; the call goes on as if it had been.
    NotPlayed {
        /// The file.
        file: PathBuf,
        /// Why: it completes "it cannot be played because ...".
        reason: String,
    },
    /// A recording began.
    RecordingStarted {
        /// To know it by.
        recording: String,
        /// Its file.
        file: PathBuf,
    },
    /// A recording pauses.
    RecordingPaused {
        /// To know it by.
        recording: String,
    },
    /// A recording goes on.
    RecordingResumed {
        /// To know it by.
        recording: String,
    },
    /// A recording is complete.
    RecordingEnded {
        /// To know it by.
        recording: String,
        /// Its file.
        file: PathBuf,
        /// How long it is.
        length: Duration,
    },
    /// A recording came to its end before its time; what is in the file is whole.
    RecordingFailed {
        /// To know it by.
        recording: String,
        /// Its file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// A message was left in a mailbox.
    MessageLeft {
        /// Whose.
        mailbox: String,
        /// Who has left it.
        caller: String,
        /// Its file.
        file: PathBuf,
        /// How long it is.
        length: Duration,
    },
    /// A key was pressed.
    Dtmf {
        /// Which.
        digit: char,
        /// `rfc4733`, `info`, `inband`.
        by: &'static str,
    },
    /// An extension has another contact, or renewed one.
    Registered {
        /// The number.
        extension: String,
        /// The contact URI.
        contact: String,
    },
    /// A contact is gone.
    Unregistered {
        /// The number.
        extension: String,
        /// The contact URI.
        contact: String,
    },
    /// Somebody gave a wrong password or an unknown name.
    AuthenticationFailed {
        /// The name given.
        user: String,
        /// Where from.
        source: SocketAddr,
    },
    /// A source is not listened to for a while.
    Blocked {
        /// Which.
        source: std::net::IpAddr,
    },
}

/// What has been counted since the start, for metrics and statistics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// INVITEs that became calls.
    pub calls_total: u64,
    /// Calls now.
    pub calls_active: u64,
    /// Calls answered.
    pub calls_answered: u64,
    /// Calls that ended unanswered, cancelled ones among them.
    pub calls_failed: u64,
    /// INVITEs refused because of a limit or a shutdown, before they became calls.
    pub calls_turned_away: u64,
    /// Seconds from answer to end, summed.
    pub talk_seconds: f64,
    /// Contacts now.
    pub registrations: u64,
    /// Messages received.
    pub messages_received: u64,
    /// Messages sent.
    pub messages_sent: u64,
    /// Bytes that were no message.
    pub messages_malformed: u64,
    /// Wrong passwords, unknown names.
    pub authentication_failures: u64,
    /// RTP ports in use, in pairs.
    pub ports_in_use: u64,
    /// RTP port pairs in the range.
    pub ports_total: u64,
}

/// What is in the PBX at a moment, for people who look.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Survey {
    /// Calls that are up or being closed, oldest first.
    pub calls: Vec<CallNow>,
    /// Contacts, by extension.
    pub contacts: Vec<ContactNow>,
}

/// A call at a moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallNow {
    /// The PBX's id of the call.
    pub call_id: String,
    /// Call-ID of the caller's dialog.
    pub sip_call_id: String,
    /// Who called: the user part of From.
    pub caller: String,
    /// What was dialled: the user part of the Request-URI.
    pub dialled: String,
    /// What it does: `preparing`, `alerting`, `announcing`, `ringing`, `served`, `talking`, `over`.
    pub stage: &'static str,
    /// Seconds from the start of the world.
    pub started_secs: f64,
    /// Its legs, the caller first; those that are being closed last.
    pub legs: Vec<LegNow>,
}

/// A leg at a moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LegNow {
    /// `caller`, an extension, `trunk:name`.
    pub name: String,
    /// Where its SIP goes.
    pub remote: SocketAddr,
    /// The PBX's RTP port for it.
    pub port: Option<u16>,
    /// What was agreed on.
    pub codec: Option<String>,
}

/// A contact at a moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContactNow {
    /// The extension.
    pub extension: String,
    /// The contact URI.
    pub contact: String,
    /// Where calls to it go first.
    pub target: SocketAddr,
    /// How long it still holds, in seconds.
    pub expires_secs: f64,
}
