//! Applications in numbers, against a PBX that runs: what `benches/rwi.sh` prints.
//!
//! `application_load HOST:PORT TOKEN PID RTP_PORT`: 500 calls to `sip:load@callee` are ordered, each hears a tone; the callee
//! has its media at RTP_PORT of 127.0.0.1, which is listened to here. Measured are the replies to commands, the way of an event
//! to one and to 200 subscribers, what 1,000 clients that are told 10 events a second cost the program PID and its calls, and
//! the memory of an idle client.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

type Failure = Box<dyn Error + Send + Sync>;

const CALLS: usize = 500;
const CLIENTS: usize = 1_000;
const SUBSCRIBERS: usize = 200;
/// Commands of each kind whose replies are timed.
const ASKED: usize = 2_000;
/// Events that each of the many clients is told in a second, and for how long.
const EVENTS: u32 = 10;
const LASTS: Duration = Duration::from_secs(10);
/// What a client reads at once. The library fills so much with zeros for every read, 128 KB if nothing is said: with 200
/// clients in one program that is the longest part of their events' way.
const READ: usize = 4 << 10;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pbx, token, pid, rtp] = arguments.as_slice() else {
        return Err("application_load HOST:PORT TOKEN PID RTP_PORT".into());
    };
    let door = Door { pbx: pbx.clone(), token: token.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(&door, pid.parse()?, rtp.parse()?))
}

async fn measure(door: &Door, pid: u32, rtp: u16) -> Result<(), Failure> {
    let ear = Ear::open(rtp).await?;
    let mut client = Client::connect(door).await?;

    let before = Usage::of(pid)?;
    let mut idle = Vec::new();
    for _ in 0..CLIENTS {
        idle.push(Client::connect(door).await?);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let grown = Usage::of(pid)?.memory.saturating_sub(before.memory);
    println!("memory of an idle client: {:.1} KB (of {CLIENTS})", grown as f64 / 1_024.0 / CLIENTS as f64);
    drop(idle);

    let calls = order(&mut client).await?;
    println!("calls up: {}", calls.len());
    for call in &calls {
        let tone = json!({ "type": "tone", "frequency": 440.0 });
        client.ask("media.play", json!({ "call_id": call, "source": tone, "loop": true })).await?;
    }
    ear.listen(LASTS).await.print("heard with nobody but us");

    replies(&mut client, &calls).await?;
    for subscribers in [1, SUBSCRIBERS] {
        fan_out(door, &mut client, &calls[0], subscribers).await?;
    }
    crowd(door, &mut client, &calls[0], pid, &ear).await
}

/// Orders the calls and waits until all are answered.
async fn order(client: &mut Client) -> Result<Vec<String>, Failure> {
    let mut calls = Vec::new();
    for n in 0..CALLS {
        let call = format!("call-{n}");
        let asked = json!({ "call_id": call, "destination": "sip:load@callee", "timeout_secs": 20 });
        client.ask("call.originate", asked).await?;
        calls.push(call);
    }
    while client.answered < CALLS {
        let told = client.next().await?;
        if told["event"] == "call.hangup" {
            return Err(format!("a call came to nothing: {told}").into());
        }
    }
    Ok(calls)
}

/// How long the replies to commands take, one asked after the other.
async fn replies(client: &mut Client, calls: &[String]) -> Result<(), Failure> {
    for action in ["call.set_var", "media.play", "media.stop", "call.get_var"] {
        let mut took = Vec::with_capacity(ASKED);
        for n in 0..ASKED {
            let call = &calls[n % calls.len()];
            let params = match action {
                "call.set_var" => json!({ "call_id": call, "key": "n", "value": n.to_string() }),
                "call.get_var" => json!({ "call_id": call, "key": "n" }),
                "media.play" => json!({ "call_id": call, "source": { "type": "silence" } }),
                _ => json!({ "call_id": call }),
            };
            let asked = now();
            client.ask(action, params).await?;
            took.push(asked.elapsed());
            // Not as fast as can be: as applications ask, beside each other.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Spread::of(took).print(&format!("reply to {action}"));
    }
    Ok(())
}

/// How long an event takes to the last of so many subscribers, from when it was asked for.
async fn fan_out(door: &Door, client: &mut Client, call: &str, subscribers: usize) -> Result<(), Failure> {
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    for _ in 0..subscribers {
        let mut listener = Client::connect(door).await?;
        listener.ask("session.subscribe", json!({ "contexts": ["default"] })).await?;
        let told = told.clone();
        tasks.spawn(async move {
            while let Ok(frame) = listener.next_text().await {
                if frame.contains("\"media.play.started\"") && told.send(now()).is_err() {
                    return;
                }
            }
        });
    }
    let mut took = Vec::new();
    for _ in 0..200 {
        let asked = now();
        client.ask("media.play", json!({ "call_id": call, "source": { "type": "silence" } })).await?;
        let mut last = asked;
        for _ in 0..subscribers {
            last = last.max(hears.recv().await.ok_or("the subscribers are gone")?);
        }
        took.push(last - asked);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tasks.abort_all();
    Spread::of(took).print(&format!("event to {subscribers} subscribers"));
    Ok(())
}

/// What it costs to tell many clients many events, and whether the calls notice.
async fn crowd(door: &Door, client: &mut Client, call: &str, pid: u32, ear: &Ear) -> Result<(), Failure> {
    let told = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut listener = Client::connect(door).await?;
        listener.ask("session.subscribe", json!({ "contexts": ["default"] })).await?;
        let told = Arc::clone(&told);
        tasks.spawn(async move {
            while let Ok(frame) = listener.next_text().await {
                told.fetch_add(u64::from(frame.contains("\"event\"")), Ordering::Relaxed);
            }
        });
    }
    let calm = Usage::of(pid)?;
    tokio::time::sleep(LASTS).await;
    let begin = Usage::of(pid)?;
    let (before, since) = (told.load(Ordering::Relaxed), now());
    let listening = ear.listen(LASTS);
    let asking = async {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / EVENTS);
        let mut asked = 0;
        while since.elapsed() < LASTS {
            ticks.tick().await;
            // Each tells one event: it begins, and it has ended.
            let (action, params) = match asked % 2 {
                0 => ("media.play", json!({ "call_id": call, "source": { "type": "silence" } })),
                _ => ("media.stop", json!({ "call_id": call })),
            };
            client.ask(action, params).await?;
            asked += 1;
        }
        Ok::<_, Failure>(())
    };
    let (heard, asked) = tokio::join!(listening, asking);
    asked?;
    let end = Usage::of(pid)?;
    let events = told.load(Ordering::Relaxed) - before;
    let seconds = since.elapsed().as_secs_f64();
    let (idle, busy) = (begin.cpu - calm.cpu, end.cpu - begin.cpu);
    println!(
        "{CLIENTS} clients told {:.1} events a second each: {:.2} of a core, and {:.2} without the events",
        events as f64 / seconds / CLIENTS as f64,
        busy.as_secs_f64() / seconds,
        idle.as_secs_f64() / LASTS.as_secs_f64(),
    );
    heard.print("heard meanwhile");
    tasks.abort_all();
    Ok(())
}

/// Where applications come in.
struct Door {
    pbx: String,
    token: String,
}

/// One application.
struct Client {
    socket: WebSocketStream<TcpStream>,
    asked: u64,
    /// Calls that have been answered, as it was told.
    answered: usize,
}

impl Client {
    async fn connect(door: &Door) -> Result<Client, Failure> {
        let stream = TcpStream::connect(&door.pbx).await?;
        stream.set_nodelay(true)?;
        let url = format!("ws://{}/rwi/v1?token={}", door.pbx, door.token);
        let request = url.into_client_request()?;
        let config = Some(WebSocketConfig::default().read_buffer_size(READ));
        let (socket, _) = tokio_tungstenite::client_async_with_config(request, stream, config).await?;
        Ok(Client { socket, asked: 0, answered: 0 })
    }

    /// Asks, and waits for the reply.
    async fn ask(&mut self, action: &str, params: Value) -> Result<Value, Failure> {
        self.asked += 1;
        let id = self.asked.to_string();
        let frame = json!({ "action": action, "action_id": id, "params": params });
        self.socket.send(Message::text(frame.to_string())).await?;
        loop {
            let told = self.next().await?;
            if told["action_id"] != id.as_str() {
                continue;
            }
            return match told["error"].is_null() {
                true => Ok(told),
                false => Err(format!("{action}: {}", told["error"]).into()),
            };
        }
    }

    async fn next(&mut self) -> Result<Value, Failure> {
        let told: Value = serde_json::from_str(&self.next_text().await?)?;
        self.answered += usize::from(told["event"] == "call.answered");
        Ok(told)
    }

    async fn next_text(&mut self) -> Result<String, Failure> {
        loop {
            match self.socket.next().await.ok_or("the PBX has closed the connection")?? {
                Message::Text(text) => return Ok(text.to_string()),
                Message::Close(why) => return Err(format!("the PBX has closed it: {why:?}").into()),
                _ => {}
            }
        }
    }
}

/// Where all callees hear: how even the packets come.
struct Ear {
    socket: UdpSocket,
    last: Mutex<BTreeMap<SocketAddr, Instant>>,
}

impl Ear {
    async fn open(port: u16) -> Result<Ear, Failure> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
        socket.set_recv_buffer_size(8 << 20)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
        Ok(Ear { socket: UdpSocket::from_std(socket.into())?, last: Mutex::new(BTreeMap::new()) })
    }

    /// How far the packets of each stream are from 20 ms apart.
    async fn listen(&self, lasts: Duration) -> Spread {
        let (since, mut buffer, mut off) = (now(), [0; 2_048], Vec::new());
        // What has waited meanwhile says nothing.
        while self.socket.try_recv_from(&mut buffer).is_ok() {}
        self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
        while let Some(left) = lasts.checked_sub(since.elapsed()) {
            let received = tokio::time::timeout(left, self.socket.recv_from(&mut buffer)).await;
            let Ok(Ok((_, from))) = received else { continue };
            let at = now();
            let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some(before) = last.insert(from, at) {
                off.push((at - before).abs_diff(Duration::from_millis(20)));
            }
        }
        Spread::of(off)
    }
}

/// Measured times, in their order.
struct Spread(Vec<Duration>);

impl Spread {
    fn of(mut times: Vec<Duration>) -> Spread {
        times.sort_unstable();
        Spread(times)
    }

    fn print(&self, what: &str) {
        let at = |share: f64| {
            let place = (self.0.len() as f64 * share) as usize;
            self.0.get(place.min(self.0.len().saturating_sub(1))).map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        let (median, p99, most) = (at(0.5), at(0.99), at(1.0));
        println!(
            "{what}: median {median:.3} ms, p99 {p99:.3} ms, longest {most:.3} ms ({} times)",
            self.0.len()
        );
    }
}

/// What a program has used.
struct Usage {
    cpu: Duration,
    /// Resident, in bytes.
    memory: usize,
}

impl Usage {
    fn of(pid: u32) -> Result<Usage, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        // Fields 14 and 15, in hundredths of a second, and 24, in pages (proc(5)).
        let cpu = Duration::from_millis((number(11) + number(12)) * 10);
        Ok(Usage { cpu, memory: number(21) as usize * 4_096 })
    }
}

#[expect(clippy::disallowed_methods, reason = "this program measures in real time")]
fn now() -> Instant {
    Instant::now()
}
