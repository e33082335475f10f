//! What is left of a run can be read: by a browser, by Wireshark, by programs, and without any of them
//! (SIM-13).

use pbx::shell::host::Host;
use pbx::sip::Transport;
use pbx::time::{Duration, Instant};
use serde_json::Value;
use simulator::artefacts::{Artefact, LIMIT, Run, Sentence, Snapshot, Trouble, read_trace};
use simulator::network::{Fate, Kind, Link};
use simulator::stage::{PBX, Stage};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::io::AsyncWriteExt;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_page_needs_nothing_beside_it_and_tells_the_story() {
    let run = run();
    let page = text(&run.files(LIMIT), "report.html");
    for outside in ["http://", "https://", "src=\"//", "@import", "url("] {
        assert!(!page.contains(outside), "the page asks for {outside}");
    }
    for told in [
        "<span class=\"actor\">alice<small>10.0.0.2</small></span>",
        "<span>  And bob &lt;hears&gt; alice</span>",
        "INVITE bob (password)",
        "re-INVITE hold",
        "<em>lost</em>",
        "<em>again</em>",
        "lost: the network dropped it",
        "TCP opens",
        "Call-ID: ",
        "id=\"break\"",
        "alice (500 Hz)",
        "call answered",
        "cargo run --bin simulate",
        "<tr><th>dialled</th><td>4711</td></tr>",
    ] {
        assert!(page.contains(told), "the page does not tell {told}");
    }
    // What the telephones heard and said can be played in it.
    assert_eq!(page.matches("<audio").count(), 4);
}

#[test]
fn the_trace_can_be_read_back() {
    let run = run();
    let files = run.files(LIMIT);
    let trace = text(&files, "trace.jsonl");
    let (packets, names) = read_trace(&trace).expect("our own trace");
    assert_eq!(packets, run.snapshot.packets);
    assert_eq!(names, run.snapshot.names);
    let lines: Vec<Value> =
        trace.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let lost = lines.iter().find(|line| line["lost"] == true).expect("a lost packet");
    assert_eq!((&lost["arrives_ns"], &lost["fault"]), (&Value::Null, &"lost: the network dropped it".into()));
    assert!(lines.iter().any(|line| line["what"] == "re-INVITE hold" && line["from_name"] == "alice"));
}

#[test]
fn the_state_names_calls_contacts_and_lines() {
    let state = text(&run().files(LIMIT), "state.json");
    let state: Value = serde_json::from_str(&state).expect("an object");
    assert_eq!(state["pbx"]["calls"][0]["stage"], "talking");
    assert_eq!(state["pbx"]["calls"][0]["legs"][1]["codec"], "PCMU");
    assert_eq!(state["pbx"]["contacts"][1]["extension"], "bob");
    assert_eq!(state["pbx"]["counters"]["calls_answered"], 1);
    assert_eq!(state["telephones"]["bob"]["lines"][0]["state"], "talking");
    assert_eq!(state["telephones"]["bob"]["lines"][0]["is_held"], true);
}

#[test]
fn a_recording_has_on_the_left_what_was_heard() {
    let files = run().files(LIMIT);
    let file = &file(&files, "alice.wav").bytes;
    assert_eq!((&file[..4], &file[8..12]), (&b"RIFF"[..], &b"WAVE"[..]));
    let samples: Vec<i16> =
        file[44..].chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect();
    // The first half second: after that she holds.
    let side = |side: usize| samples.iter().skip(side).step_by(2).take(4_000).copied().collect::<Vec<_>>();
    assert!(simulator::ear::presence(&side(0), 600.0) > 0.7, "bob is not on the left");
    assert!(simulator::ear::presence(&side(1), 500.0) > 0.7, "alice is not on the right");
}

#[test]
fn where_there_is_no_room_sound_is_left_out_first() {
    let run = run();
    let all = run.files(LIMIT);
    let names = |files: &[Artefact]| files.iter().map(|file| file.name.clone()).collect::<BTreeSet<_>>();
    let sound = all.iter().filter(|file| file.name.ends_with(".wav"));
    let size = |files: &[Artefact]| files.iter().map(|file| file.bytes.len()).sum::<usize>();
    let left = run.files(size(&all) - 1);
    let missing: Vec<_> = names(&all).difference(&names(&left)).cloned().collect();
    assert_eq!(sound.count(), 2);
    assert!(missing.iter().all(|name| name.ends_with(".wav")), "{missing:?}");
    assert!(size(&run.files(100_000)) <= 100_000);
}

#[test]
fn equal_runs_leave_equal_files() {
    let (one, other) = (run().files(LIMIT), run().files(LIMIT));
    for (one, other) in one.iter().zip(&other) {
        assert!(one == other, "{} differs", one.name);
    }
}

#[test]
fn wireshark_finds_nothing_malformed_and_knows_the_streams() {
    if !is_there("tshark") {
        eprintln!("left out: there is no tshark");
        return;
    }
    let folder = folder("tshark");
    let run = run();
    let capture = folder.join("capture.pcapng");
    fs::write(&capture, &file(&run.files(LIMIT), "capture.pcapng").bytes).expect("a folder of our own");
    let ask = |arguments: &[&str]| {
        let output = Command::new("tshark").arg("-r").arg(&capture).args(arguments).output();
        String::from_utf8(output.expect("tshark is there").stdout).expect("text")
    };
    let checks = ["ip", "udp", "tcp"].map(|protocol| format!("{protocol}.check_checksum:TRUE"));
    let strict: Vec<&str> = checks.iter().flat_map(|check| ["-o", check]).collect();
    let bad = "_ws.malformed || ip.checksum.status == Bad || udp.checksum.status == Bad || \
               tcp.checksum.status == Bad || icmp.checksum.status == Bad || tcp.analysis.lost_segment || \
               tcp.analysis.ack_lost_segment";
    assert_eq!(ask(&[&strict[..], &["-Y", bad]].concat()), "");
    assert_eq!(ask(&["-T", "fields", "-e", "frame.number"]).lines().count(), run.snapshot.packets.len());

    let streams = ask(&["-q", "-z", "rtp,streams"]);
    assert_eq!(streams.matches("g711U").count(), 4, "{streams}");
    let named = ask(&["-N", "n", "-Y", "sip.Method == \"INVITE\""]);
    assert!(named.contains("alice") && named.contains("PBX"), "{named}");
    let comments = ask(&["-T", "fields", "-e", "frame.comment", "-Y", "frame.comment"]);
    let faults = run.snapshot.packets.iter().filter(|packet| packet.arrives.is_none()).count();
    assert_eq!(comments.matches("lost: the network dropped it").count(), faults);
    // A message in several segments, one of them sent again, is one message.
    let message = ask(&[
        "-Y",
        "tcp.analysis.retransmission || tcp.reassembled_in || tcp.segments",
        "-T",
        "fields",
        "-e",
        "sip.Method",
    ]);
    assert!(message.contains("MESSAGE"), "{message}");
    assert!(run.snapshot.packets.iter().any(|packet| packet.kind == Kind::Again), "nothing was sent again");
    let at = ask(&["-c", "1", "-T", "fields", "-e", "frame.time_epoch"]);
    assert_eq!(at.trim(), "1767225600.000000000");
}

#[test]
fn a_browser_shows_the_ladder_and_paints_the_sound() {
    if !is_there("chromium") {
        eprintln!("left out: there is no chromium");
        return;
    }
    let folder = folder("chromium");
    let page = folder.join("report.html");
    fs::write(&page, &file(&run().files(LIMIT), "report.html").bytes).expect("a folder of our own");
    let dom = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .args(["--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("chromium is there");
    let dom = String::from_utf8_lossy(&dom.stdout);
    let arrows = dom.matches("<details class=\"row").count();
    assert!(arrows > 20, "{arrows} arrows");
    // What only the script knows.
    assert!(dom.contains(&format!("<span id=\"count\">{arrows} arrows</span>")), "nobody counted");
    assert_eq!(dom.matches("data-drawn=\"yes\"").count(), 4, "a spectrogram is missing");
}

/// Alice, who speaks TCP, talks to bob and puts him on hold while packets are lost; somebody else writes a long letter.
fn run() -> Run {
    let snapshot = simulator::world::play(7, async |stage: &mut Stage| {
        let alice = stage.phone_over("alice", Transport::Tcp).await;
        let bob = stage.phone("bob").await;
        alice.register();
        bob.register();
        stage.pass(SECOND).await;
        alice.call("4711");
        stage.pass(SECOND).await;
        alice.call("bob");
        assert!(stage.until(SECOND, |_| bob.is_ringing()).await);
        bob.answer();
        stage.pass(SECOND).await;
        write_a_letter(stage).await;
        alice.hold();
        stage.pass(SECOND).await;
        // What bob says next is lost, and he says it again.
        let deaf = Link { loss: 1.0, ..Link::default() };
        stage.network.set_link_one_way(bob.host().address(), PBX, deaf);
        bob.register();
        stage.pass(Duration::from_millis(30)).await;
        stage.network.set_link_one_way(bob.host().address(), PBX, Link::default());
        stage.pass(SECOND).await;
        Snapshot::of(stage)
    });
    let sentence = |text: &str, at: u64, failed| Sentence {
        text: text.to_owned(),
        at: Some(Instant::from_millis(at)),
        failed,
    };
    Run {
        title: "tests/artefacts: A call <in> bad weather".to_owned(),
        place: "tests/artefacts.feature:3".to_owned(),
        replay: "cargo run --bin simulate -- play tests/artefacts.feature:3 --seed 7".to_owned(),
        sentences: vec![sentence("Given a call", 0, false), sentence("  And bob <hears> alice", 2_500, true)],
        trouble: Some(Trouble {
            text: "but bob hears nothing".to_owned(),
            at: Instant::from_millis(2_500),
            is_rule: false,
        }),
        faults: None,
        snapshot,
    }
}

/// A message in several segments, the second of which is lost and sent again.
async fn write_a_letter(stage: &mut Stage) {
    let writer = stage.host("writer");
    let lost = Fate { lost: true, ..Fate::default() };
    // Its packet 0 opens the stream.
    stage.network.script(writer.address(), PBX, 2, lost);
    let mut stream = writer.connect((PBX, 5060).into()).await.expect("the PBX listens");
    let body = "x".repeat(4_000);
    let letter = format!(
        "MESSAGE sip:bob@pbx.example SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.4:5060;branch=z9hG4bKletter\r\n\
         Max-Forwards: 70\r\nFrom: <sip:writer@10.0.0.4>;tag=w\r\nTo: <sip:bob@pbx.example>\r\nCall-ID: letter\r\n\
         CSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: 4000\r\n\r\n{body}"
    );
    stream.write_all(letter.as_bytes()).await.expect("the stream is open");
    stage.pass(SECOND).await;
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// An empty folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("artefacts-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder of our own");
    folder
}

fn file<'a>(files: &'a [Artefact], name: &str) -> &'a Artefact {
    files.iter().find(|file| file.name == name).unwrap_or_else(|| panic!("there is no {name}"))
}

fn text(files: &[Artefact], name: &str) -> String {
    String::from_utf8(file(files, name).bytes.clone()).expect("text")
}
