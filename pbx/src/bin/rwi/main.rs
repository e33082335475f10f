//! The program `rwi`: a person controls calls of a PBX from a terminal, by the same frames as any application.
//!
//! Each line is a command, as JSON or as people write it (`call.bridge leg_a=a leg_b=b`); what the PBX says is printed a line
//! each. With a command as arguments it is sent alone, and the exit code says whether it was done.

mod words;

use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::fmt;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{self, Message};

/// Where calls are controlled.
const PATH: &str = "/rwi/v1";
/// Lines that wait to be sent.
const LINES: usize = 64;

/// Controls calls of a PBX: sends commands, prints what it says.
#[derive(Parser)]
#[command(name = "rwi", version, about)]
struct Arguments {
    /// Where the PBX listens for HTTP
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pbx: String,
    /// What the PBX lets in: `token` of `[[rwi.tokens]]`
    #[arg(long, value_name = "TOKEN")]
    token: String,
    /// Print frames as they come
    #[arg(long)]
    json: bool,
    /// One command, then the end: call.hangup call_id=leg_a
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(&arguments)),
        Err(error) => Err(Failure::Io(error)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Refused) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("rwi: {failure}");
            ExitCode::from(2)
        }
    }
}

/// Why it ends.
enum Failure {
    Io(io::Error),
    Unreachable(String, io::Error),
    NotLetIn(String),
    Command(String),
    /// The one command was not done, and that has been said.
    Refused,
    Closed,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Io(error) => write!(f, "{error}"),
            Failure::Unreachable(pbx, error) => write!(f, "{pbx} cannot be reached: {error}"),
            Failure::NotLetIn(why) => write!(f, "the PBX does not let us in: {why}"),
            Failure::Command(why) => f.write_str(why),
            Failure::Refused => f.write_str("the command was refused"),
            Failure::Closed => f.write_str("the PBX has closed the connection"),
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut socket = connect(arguments).await?;
    if !arguments.command.is_empty() {
        let frame = words::frame(&arguments.command.join(" "), 1).map_err(Failure::Command)?;
        return ask_once(&mut socket, &frame, arguments.json).await;
    }
    let mut lines = lines_of_standard_input()?;
    let mut asked = 0;
    loop {
        tokio::select! {
            biased;
            line = lines.recv() => {
                let Some(line) = line else { return Ok(()) };
                asked += 1;
                match words::frame(&line, asked) {
                    Ok(frame) => send(&mut socket, &frame).await?,
                    Err(why) => eprintln!("rwi: {why}"),
                }
            }
            frame = next(&mut socket) => print(&frame?, arguments.json),
        }
    }
}

async fn connect(arguments: &Arguments) -> Result<WebSocketStream<TcpStream>, Failure> {
    let pbx = &arguments.pbx;
    let stream = TcpStream::connect(pbx).await.map_err(|error| Failure::Unreachable(pbx.clone(), error))?;
    let not_let_in = |error: &dyn fmt::Display| Failure::NotLetIn(error.to_string());
    let mut request =
        format!("ws://{pbx}{PATH}").into_client_request().map_err(|error| not_let_in(&error))?;
    let token = HeaderValue::from_str(&format!("Bearer {}", arguments.token));
    let token = token.map_err(|_| Failure::NotLetIn("a token has no such characters".to_owned()))?;
    request.headers_mut().insert("authorization", token);
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) if response.status() == 401 => {
            Err(Failure::NotLetIn("it does not know the token".to_owned()))
        }
        Err(error) => Err(not_let_in(&error)),
    }
}

async fn ask_once(
    socket: &mut WebSocketStream<TcpStream>,
    frame: &Value,
    as_json: bool,
) -> Result<(), Failure> {
    send(socket, frame).await?;
    loop {
        let told = next(socket).await?;
        if told["action_id"] != frame["action_id"] {
            continue;
        }
        print(&told, as_json);
        let _ = socket.close(None).await;
        return if told["error"].is_null() { Ok(()) } else { Err(Failure::Refused) };
    }
}

async fn send(socket: &mut WebSocketStream<TcpStream>, frame: &Value) -> Result<(), Failure> {
    socket.send(Message::text(frame.to_string())).await.map_err(|_| Failure::Closed)
}

/// The next frame; a text that is no JSON is a JSON text.
async fn next(socket: &mut WebSocketStream<TcpStream>) -> Result<Value, Failure> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                return Ok(serde_json::from_str(&text).unwrap_or_else(|_| json!(text.as_str())));
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Failure::Closed),
            Some(Ok(_)) => {}
        }
    }
}

/// That nobody reads any more is no reason to fail.
fn print(frame: &Value, as_json: bool) {
    let line = if as_json { frame.to_string() } else { words::line(frame) };
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// A thread of its own reads what is typed: that cannot be awaited.
fn lines_of_standard_input() -> Result<mpsc::Receiver<String>, Failure> {
    let (typed, lines) = mpsc::channel(LINES);
    let read = move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if !line.trim().is_empty() && typed.blocking_send(line).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("rwi-lines".into()).spawn(read).map_err(Failure::Io)?;
    Ok(lines)
}
