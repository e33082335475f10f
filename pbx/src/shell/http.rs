//! The HTTP side: GET /health, /metrics, /stats; POST /reload from this machine.
//!
//! Each connection is a task of the host's, so that a crash ends it. The loop that owns the core is asked for its figures
//! when somebody wants them: an answer proves that it turns, and nobody holds a lock.

use super::host::{Host, Listener};
use super::metrics;
use super::program::{Handle, ReloadError};
use crate::time::Duration;
use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
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
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let routes = routes.clone().layer(Extension(ConnectInfo(remote)));
        host.spawn(async move {
            let _place = place;
            // The Date header is ours to set: hyper would read the clock of the OS.
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_LIMIT)
                .max_buf_size(HEAD_BYTES)
                .auto_date_header(false)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
            if let Ok(Err(error)) = tokio::time::timeout(CONNECTION_LIMIT, serving).await {
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

fn ended() -> Response {
    refusal(StatusCode::SERVICE_UNAVAILABLE, &ReloadError::Ended.to_string())
}

fn refusal(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

/// An answer that takes too long is none.
async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(ANSWER_LIMIT, next.run(request)).await {
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
