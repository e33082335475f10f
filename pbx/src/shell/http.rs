//! The HTTP side: GET /health, /metrics, /stats; POST /reload from this machine; /rwi/v1 for applications.
//!
//! Each connection is a task of the host's, so that a crash ends it. The loop that owns the core is asked for its figures
//! when somebody wants them: an answer proves that it turns, and nobody holds a lock.

use super::host::{Host, Listener};
use super::metrics;
use super::program::{Handle, ReloadError};
use super::rwi;
use super::timer::{self, HyperTimer};
use crate::time::Duration;
use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Connections at a time; more wait to be accepted.
const CONNECTIONS: usize = 64;
/// How long a request's head may take, and how long a connection may wait for the next one.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// How long a request may take from its head to the end of its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How long a connection may live: who does not read his answers does not keep his place for ever.
const CONNECTION_LIMIT: Duration = Duration::from_secs(600);
/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 << 10;
/// How long to wait when the OS has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves as long as the PBX runs.
pub(super) async fn serve<H: Host>(host: H, mut listener: H::Listener, handle: Handle<H>) {
    let routes = routes(host.clone(), handle.clone());
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            biased;
            () = handle.ended() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "HTTP connection not accepted");
                timer::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let routes = routes.clone().layer(Extension(ConnectInfo(remote)));
        host.spawn(async move {
            let _place = place;
            // The Date header is ours to set: hyper would read the clock of the OS.
            let serving = http1::Builder::new()
                .timer(HyperTimer)
                .header_read_timeout(HEAD_LIMIT)
                .max_buf_size(HEAD_BYTES)
                .auto_date_header(false)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
                .with_upgrades();
            if let Ok(Err(error)) = timer::timeout(CONNECTION_LIMIT, serving).await {
                tracing::debug!(%remote, %error, "HTTP connection ended");
            }
        });
    }
}

fn routes<H: Host>(host: H, handle: Handle<H>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics_page))
        .route("/stats", get(stats))
        .route("/reload", post(reload))
        .route("/rwi/v1", get(rwi::connect::<H>))
        .with_state(handle)
        .layer(middleware::from_fn(in_time))
        .layer(middleware::from_fn_with_state(host, with_date::<H>))
}

async fn health<H: Host>(State(handle): State<Handle<H>>) -> Response {
    let Some(snapshot) = handle.snapshot().await else { return ended() };
    // A load balancer looks at the status alone.
    let status = if snapshot.draining { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(snapshot.health())).into_response()
}

async fn metrics_page<H: Host>(State(handle): State<Handle<H>>) -> Response {
    let Some(snapshot) = handle.snapshot().await else { return ended() };
    match metrics::exposition(snapshot) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn stats<H: Host>(State(handle): State<Handle<H>>) -> Response {
    match handle.snapshot().await {
        Some(snapshot) => Json(snapshot.to_json()).into_response(),
        None => ended(),
    }
}

async fn reload<H: Host>(
    State(handle): State<Handle<H>>,
    Extension(ConnectInfo(remote)): Extension<ConnectInfo<SocketAddr>>,
) -> Response {
    if !remote.ip().is_loopback() {
        return refusal(StatusCode::FORBIDDEN, "the configuration is reloaded from this machine only");
    }
    match handle.reload().await {
        Ok(notes) => Json(json!({ "reloaded": true, "notes": notes })).into_response(),
        Err(error @ ReloadError::Ended) => refusal(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        Err(error) => refusal(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
    }
}

pub(super) fn ended() -> Response {
    refusal(StatusCode::SERVICE_UNAVAILABLE, &ReloadError::Ended.to_string())
}

pub(super) fn refusal(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

/// An answer that takes too long is none.
async fn in_time(request: Request, next: Next) -> Response {
    match timer::timeout(ANSWER_LIMIT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => refusal(StatusCode::SERVICE_UNAVAILABLE, "the answer took too long"),
    }
}

/// An origin server with a clock says what o'clock it is (RFC 9110 section 6.6.1).
async fn with_date<H: Host>(State(host): State<H>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Ok(date) = HeaderValue::from_str(&host.clock().http_date(host.now())) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pbx::Counters;
    use crate::shell::program::{self, Running};
    use crate::shell::test_host::{IdleCore, NoMedia, TestHost};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::sync::mpsc;

    #[tokio::test(start_paused = true)]
    async fn health_says_what_runs_and_how_long() {
        let world = World::new().await;
        tokio::time::sleep(Duration::from_secs(90)).await;
        let answer = world.ask("GET /health").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let health = json_of(&answer);
        assert_eq!(health["status"], "ok");
        assert_eq!(health["calls"], 3);
        assert_eq!(health["registrations"], 5);
        assert_eq!(health["uptime_secs"], 90.0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_date_is_the_hosts() {
        let world = World::new().await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        let answer = world.ask("GET /health").await;
        let dates: Vec<&str> = answer.lines().filter(|line| line.starts_with("date:")).collect();
        assert_eq!(dates, ["date: Sat, 21 Nov 2026 07:45:10 GMT"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_draining_pbx_is_not_to_be_sent_calls() {
        let world = World::new().await;
        world.running.handle.drain(Duration::from_secs(5)).await;
        let answer = world.ask("GET /health").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert_eq!(json_of(&answer)["status"], "draining");
    }

    #[tokio::test(start_paused = true)]
    async fn metrics_come_in_the_format_they_say() {
        let world = World::new().await;
        let answer = world.ask("GET /metrics").await;
        assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0"), "{answer}");
        assert!(answer.contains("\ntandem_calls_active 3.0\n"), "{answer}");
        assert!(answer.ends_with("# EOF\n"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn statistics_show_calls_and_quality() {
        let world = World::new().await;
        let stats = json_of(&world.ask("GET /stats").await);
        assert_eq!(stats["calls"]["active"], 3);
        assert_eq!(stats["quality"]["mos"]["count"], 0);
    }

    #[tokio::test(start_paused = true)]
    async fn only_this_machine_reloads() {
        let world = World::new().await;
        let answer = world.ask_from("192.0.2.9:4000", "POST /reload").await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        let answer = world.ask_from("127.0.0.1:4000", "POST /reload").await;
        assert!(answer.starts_with("HTTP/1.1 422 "), "there is no file to read: {answer}");
        let answer = world.ask("GET /reload").await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_end_is_not_waited_for() {
        let world = World::new().await;
        let mut client = world.dial("192.0.2.9:4000");
        client.write_all(b"GET /health HTTP/1.1\r\nX: ").await.expect("open");
        let closed = tokio::time::timeout(HEAD_LIMIT + Duration::from_secs(1), read_all(&mut client)).await;
        assert!(closed.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_is_too_long_is_refused() {
        let world = World::new().await;
        let mut client = world.dial("192.0.2.9:4000");
        let head = format!("GET /health HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(2 * HEAD_BYTES));
        let (mut reader, mut writer) = tokio::io::split(&mut client);
        let (_, answer) = tokio::join!(writer.write_all(head.as_bytes()), async {
            let mut answer = vec![0; 512];
            let length = reader.read(&mut answer).await.unwrap_or(0);
            String::from_utf8_lossy(&answer[..length]).into_owned()
        });
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_occupies_every_place_loses_it() {
        let world = World::new().await;
        let occupants: Vec<DuplexStream> = (0..CONNECTIONS).map(|_| world.dial("192.0.2.9:4000")).collect();
        let asked = tokio::time::Instant::now();
        let answer = world.ask("GET /health").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(asked.elapsed() >= HEAD_LIMIT, "there was no place before");
        drop(occupants);
    }

    const HTTP: &str = "192.0.2.1:8080";

    struct World {
        host: TestHost,
        running: Running<TestHost>,
    }

    impl World {
        async fn new() -> World {
            let host = TestHost::new();
            let mut config = crate::shell::test_host::config();
            config.sip.listen.clear();
            config.http = Some(crate::config::Http { listen: HTTP.parse().expect("an address") });
            let bound = program::bind(host.clone(), config, None).await.expect("nothing else listens");
            let core = IdleCore {
                counters: Counters { calls_active: 3, registrations: 5, ..Counters::default() },
                has_calls: true,
                ..IdleCore::default()
            };
            let (_, events) = mpsc::channel(1);
            World { host, running: bound.start(|_, _, _| core, NoMedia, events) }
        }

        fn dial(&self, from: &str) -> DuplexStream {
            let (from, to) = (from.parse().expect("an address"), HTTP.parse().expect("an address"));
            self.host.dial(from, to).expect("HTTP listens")
        }

        async fn ask(&self, what: &str) -> String {
            self.ask_from("192.0.2.9:4000", what).await
        }

        async fn ask_from(&self, from: &str, what: &str) -> String {
            let mut client = self.dial(from);
            let request = format!("{what} HTTP/1.1\r\nHost: pbx\r\nConnection: close\r\n\r\n");
            client.write_all(request.as_bytes()).await.expect("open");
            read_all(&mut client).await
        }
    }

    async fn read_all(client: &mut DuplexStream) -> String {
        let mut answer = String::new();
        let _ = client.read_to_string(&mut answer).await;
        answer
    }

    fn json_of(answer: &str) -> serde_json::Value {
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).expect("the body is JSON")
    }
}
