//! Somebody who looks at a page of the PBX: HTTP/1.1, one request a connection.

use crate::network::SimHost;
use pbx::shell::host::Host;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A page as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// 200, 404, ...
    pub status: u16,
    /// What follows the head.
    pub body: String,
}

/// Asks a server for a page.
pub async fn get(host: &SimHost, server: SocketAddr, path: &str) -> io::Result<Page> {
    let mut stream = host.connect(server).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8(answer).map_err(io::Error::other)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Page { status: status.ok_or(io::ErrorKind::InvalidData)?, body: body.to_owned() })
}
