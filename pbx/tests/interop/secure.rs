//! Somebody else's TLS and WebSockets: the PBX shows a certificate that OpenSSL has made.

use crate::baresip::telephone;
use crate::network::OFFICE;
use crate::process::Process;
use crate::stage::{BARESIP, OPENSSL, Stage, WSDUMP, office, play, play_uncaptured};
use crate::talk;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const A_WHILE: Duration = Duration::from_millis(2_500);

/// What the PBX is called.
const NAME: &str = "pbx.office.example";

#[test]
fn a_telephone_over_tls_calls_one_over_udp() {
    play(&[OPENSSL, BARESIP], |stage| {
        let _pbx = stage.pbx(&secure_office(stage, "ec -pkeyopt ec_paramgen_curve:P-256"));
        let mut alice = telephone(stage, "1001").over("tls").says(440).start();
        let mut bob = telephone(stage, "1002").says(1000).start();

        alice.calls("1002");
        bob.is_connected();
        alice.is_connected();
        talk(A_WHILE);
        alice.hangs_up();
        bob.is_disconnected();
        alice.is_disconnected();

        alice.recording().is(1000, 2.0);
        bob.recording().is(440, 2.0);
    });
}

#[test]
fn a_telephone_over_tls_is_called_over_its_connection() {
    play(&[OPENSSL, BARESIP], |stage| {
        let _pbx = stage.pbx(&secure_office(stage, "rsa:2048"));
        let mut alice = telephone(stage, "1001").over("tls").says(440).start();
        let mut bob = telephone(stage, "1002").says(1000).start();

        bob.calls("1001");
        alice.is_connected();
        bob.is_connected();
        talk(A_WHILE);
        bob.hangs_up();
        alice.is_disconnected();
        bob.is_disconnected();

        alice.recording().is(1000, 2.0);
        bob.recording().is(440, 2.0);
    });
}

#[test]
fn openssl_agrees_on_both_versions() {
    play_uncaptured(&[OPENSSL], |stage| {
        let _pbx = stage.pbx(&secure_office(stage, "ec -pkeyopt ec_paramgen_curve:P-256"));
        for version in ["-tls1_2", "-tls1_3"] {
            let mut openssl = stage.command("openssl");
            openssl.args(["s_client", "-connect", &format!("{OFFICE}:5061"), "-CAfile", "authority.pem"]);
            openssl.args(["-verify_return_error", "-verify_hostname", NAME, "-quiet", version]);
            openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut client = openssl.spawn().expect("openssl is installed");
            let mut stdin = client.stdin.take().expect("it is a pipe");
            let options = format!(
                "OPTIONS sip:{OFFICE} SIP/2.0\r\nVia: SIP/2.0/TLS {OFFICE}:7000;branch=z9hG4bK{version}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:{OFFICE}>\r\nCall-ID: {version}\r\n\
                 CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            );
            stdin.write_all(options.as_bytes()).expect("openssl reads");
            let mut line = String::new();
            let mut stdout = BufReader::new(client.stdout.take().expect("it is a pipe"));
            stdout.read_line(&mut line).expect("openssl writes");
            assert_eq!(line, "SIP/2.0 200 OK\r\n", "{version}");
            drop(stdin);
            client.kill().and_then(|()| client.wait()).expect("it is ours");
        }
    });
}

/// SIP over a WebSocket (RFC 7118), by a WebSocket library that others have written.
#[test]
fn a_telephone_registers_over_a_web_socket() {
    play_uncaptured(&[WSDUMP], |stage| {
        let listen = format!("listen = [\"ws:{OFFICE}:5080\", ");
        let _pbx = stage.pbx(&office().replace("listen = [", &listen));
        // The library is that of the system's own Python.
        let mut command = stage.command("/usr/bin/python3");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/websocket/telephone.py"));
        command.args([&format!("ws://{OFFICE}:5080/"), "1001", "secret1001", OFFICE]);
        let telephone = Process::start("telephone.py", &mut command);
        telephone.prints("that it is done", |line| line == "done");
        let lines = telephone.lines();
        let answers = ["REGISTER 401", "REGISTER 200", "OPTIONS 200", "REGISTER 401", "REGISTER 200"];
        assert_eq!(lines, [&["protocol sip"], &answers[..], &["done"]].concat());
    });
}

/// The office with a certificate of an authority of its own, whose key is of this kind.
fn secure_office(stage: &Stage, kind: &str) -> String {
    let key: Vec<&str> = kind.split(' ').collect();
    openssl(
        stage,
        &[
            &["req", "-x509", "-newkey"],
            &key[..],
            &["-noenc", "-days", "2", "-subj", "/CN=Office authority"],
            &["-keyout", "authority.key", "-out", "authority.pem"],
        ],
    );
    openssl(
        stage,
        &[
            &["req", "-newkey"],
            &key[..],
            &["-noenc", "-subj", "/CN=pbx", "-keyout", "pbx.key", "-out", "pbx.csr"],
        ],
    );
    stage.write("names", &format!("subjectAltName=DNS:{NAME},IP:{OFFICE}"));
    let files = ["-in", "pbx.csr", "-CA", "authority.pem", "-CAkey", "authority.key", "-out", "pbx.pem"];
    openssl(stage, &[&["x509", "-req", "-days", "2", "-CAcreateserial", "-extfile", "names"], &files]);
    let office = office().replace("listen = [", &format!("listen = [\"tls:{OFFICE}:5061\", "));
    format!("[tls]\ncertificate = \"pbx.pem\"\nkey = \"pbx.key\"\n{office}")
}

fn openssl(stage: &Stage, arguments: &[&[&str]]) {
    let output = stage.command("openssl").args(arguments.concat()).output().expect("openssl is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
