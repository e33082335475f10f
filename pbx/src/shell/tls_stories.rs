//! Handshakes between two of us, and what is said of certificates that are of no use.

use super::test_host::TestHost;
use super::tls::{Tls, TlsError};
use crate::config::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

const FILES: [(&str, &str); 9] = [
    ("authority.pem", include_str!("../../../fixtures/tls/authority.pem")),
    ("stranger.pem", include_str!("../../../fixtures/tls/stranger.pem")),
    ("pbx.pem", include_str!("../../../fixtures/tls/pbx.pem")),
    ("pbx.key", include_str!("../../../fixtures/tls/pbx.key")),
    ("expired.pem", include_str!("../../../fixtures/tls/pbx_expired.pem")),
    ("phone.pem", include_str!("../../../fixtures/tls/phone.pem")),
    ("phone.key", include_str!("../../../fixtures/tls/phone.key")),
    ("trunk.key", include_str!("../../../fixtures/tls/trunk.key")),
    ("notes.txt", "nothing of the kind"),
];

const PBX: &str = "certificate = \"pbx.pem\"\nkey = \"pbx.key\"\n";
const PHONE: &str = "certificate = \"phone.pem\"\nkey = \"phone.key\"\nauthorities = \"authority.pem\"\n";
const BELIEVES: &str = "authorities = \"authority.pem\"\n";

#[tokio::test(start_paused = true)]
async fn who_shows_the_right_name_is_talked_to() {
    let (server, client) = (accepts(PBX).await, connects(BELIEVES).await);
    assert_eq!(talk(&server, &client, "pbx.example").await, Ok(()));
    assert_eq!(talk(&server, &client, "PBX.example.").await, Ok(()), "names are compared without case");
}

#[tokio::test(start_paused = true)]
async fn who_shows_another_name_is_not() {
    let (server, client) = (accepts(PBX).await, connects(BELIEVES).await);
    for name in ["elsewhere.example", "10.0.0.1"] {
        let why = talk(&server, &client, name).await.expect_err("it is another one");
        assert!(why.contains("not valid for name"), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_vouched_for_by_nobody_we_believe_is_not() {
    let (server, client) = (accepts(PBX).await, connects("authorities = \"stranger.pem\"\n").await);
    let why = talk(&server, &client, "pbx.example").await.expect_err("nobody knows it");
    assert!(why.contains("UnknownIssuer"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_client_is_asked_who_it_is() {
    let asks = "client_certificates = \"required\"\nclient_authorities = \"authority.pem\"\n";
    let server = accepts(&format!("{PBX}{asks}")).await;
    assert_eq!(talk(&server, &connects(PHONE).await, "pbx.example").await, Ok(()));
    assert!(talk(&server, &connects(BELIEVES).await, "pbx.example").await.is_err());
    let polite = accepts(&format!("{PBX}{}", asks.replace("required", "optional"))).await;
    assert_eq!(talk(&polite, &connects(BELIEVES).await, "pbx.example").await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn it_is_said_what_is_wrong_with_a_certificate() {
    let table = [
        (
            "certificate = \"none.pem\"\nkey = \"pbx.key\"",
            "none.pem cannot be read: entity not found; `certificate` of [tls]",
        ),
        (
            "certificate = \"pbx.pem\"\nkey = \"none.key\"",
            "none.key cannot be read: entity not found; `key` of [tls]",
        ),
        ("certificate = \"notes.txt\"\nkey = \"pbx.key\"", "notes.txt holds no certificate"),
        ("certificate = \"pbx.pem\"\nkey = \"notes.txt\"", "notes.txt holds no private key"),
        (
            "certificate = \"pbx.pem\"\nkey = \"trunk.key\"",
            "the key in trunk.key is not that of the certificate in pbx.pem",
        ),
        (
            "certificate = \"expired.pem\"\nkey = \"pbx.key\"",
            "the certificate in expired.pem holds from Wed, 01 Jan 2020 00:00:00 GMT to Wed, 31 Dec 2025 12:00:00 GMT, \
             and it is Sat, 21 Nov 2026",
        ),
    ];
    for (tls, expected) in table {
        let error = load("tls:192.0.2.1:5061", &format!("{tls}\n"), "").await.err().expect(expected);
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_handshake_that_does_not_come() {
    let server = accepts(PBX).await;
    let (_silent, ours) = duplex(4_096);
    let Err(error) = server.accept(ours).await else { panic!("nobody speaks") };
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

async fn accepts(tls: &str) -> Tls {
    load("tls:192.0.2.1:5061", tls, "").await.unwrap_or_else(|error| panic!("{error}"))
}

async fn connects(tls: &str) -> Tls {
    let hook = "[rwi.webhook]\nurl = \"https://pbx.example/\"\n";
    load("udp:192.0.2.1:5060", tls, hook).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn load(listen: &str, tls: &str, more: &str) -> Result<Tls, TlsError> {
    let host = TestHost::new();
    FILES.iter().for_each(|(name, text)| host.disk.put(name, text));
    let text = format!("[sip]\nlisten = [\"{listen}\"]\n[tls]\n{tls}{more}");
    let config = Config::parse(&text, "office.toml").unwrap_or_else(|error| panic!("{error}"));
    Tls::load(&host, &config).await
}

/// Both ends say something and hear it.
async fn talk(server: &Tls, client: &Tls, name: &str) -> Result<(), String> {
    let (theirs, ours) = duplex(4_096);
    let (accepted, connected) = tokio::join!(server.accept(ours), client.connect(theirs, name));
    let (mut connected, mut accepted) =
        (connected.map_err(|error| error.to_string())?, accepted.map_err(|error| error.to_string())?);
    let mut buffer = [0; 5];
    accepted.write_all(b"hello").await.map_err(|error| error.to_string())?;
    accepted.flush().await.map_err(|error| error.to_string())?;
    connected.read_exact(&mut buffer).await.map_err(|error| error.to_string())?;
    connected.write_all(&buffer).await.map_err(|error| error.to_string())?;
    connected.flush().await.map_err(|error| error.to_string())?;
    accepted.read_exact(&mut buffer).await.map(drop).map_err(|error| error.to_string())
}
