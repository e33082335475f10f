//! What programs see of the simulated network.

use crate::two_hosts::{ALICE, BOB, at, ip, ms, receive, world};
use pbx::shell::host::{Disk, Host, Listener, Udp};
use pbx::shell::timer;
use pbx::time::{Duration, Instant};
use simulator::network::{Fate, Kind, Link};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn a_datagram_takes_the_latency() {
    world(1, |network, alice, bob| async move {
        let (a, b) = (alice.udp(at(ALICE, 0)).await?, bob.udp(at(BOB, 5060)).await?);
        a.try_send_to(b"hello", at(BOB, 5060))?;
        let (bytes, from) = receive(&b).await?;
        assert_eq!((bytes.as_slice(), from), (b"hello".as_slice(), a.local_addr()?));
        assert_eq!(network.elapsed(), Instant::from_millis(1));
        Ok(())
    });
}

#[test]
fn one_seed_has_one_story_and_another_seed_another() {
    let story = |seed| {
        let story = Arc::new(Mutex::new(Vec::new()));
        let kept = story.clone();
        world(seed, |network, alice, bob| async move {
            network.watch(move |packet| kept.lock().expect("one thread").push(packet));
            network.set_default_link(Link {
                loss: 0.2,
                jitter: ms(30),
                duplicate: 0.1,
                corrupt: 0.1,
                ..Link::default()
            });
            let (a, b) = (alice.udp(at(ALICE, 5060)).await?, bob.udp(at(BOB, 5060)).await?);
            for number in 0..200_u8 {
                a.try_send_to(&[number; 20], at(BOB, 5060))?;
                timer::sleep(ms(20)).await;
            }
            while b.try_recv_from(&mut [0; 100]).is_ok() {}
            Ok(())
        });
        story.lock().expect("one thread").clone()
    };
    assert_eq!(story(7), story(7));
    assert_ne!(story(7), story(8));
}

#[test]
fn a_scripted_fate_overrides_the_dice() {
    world(1, |network, alice, bob| async move {
        let lost = Fate { lost: true, ..Fate::default() };
        network.script(ip(ALICE), ip(BOB), 0, lost);
        let (a, b) = (alice.udp(at(ALICE, 5060)).await?, bob.udp(at(BOB, 5060)).await?);
        a.try_send_to(b"first", at(BOB, 5060))?;
        a.try_send_to(b"second", at(BOB, 5060))?;
        assert_eq!(receive(&b).await?.0, b"second");
        Ok(())
    });
}

#[test]
fn a_forger_changes_what_is_sent_before_anybody_sees_it() {
    world(1, |network, alice, bob| async move {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        network.watch(move |packet| kept.lock().expect("one thread").push(packet.bytes.to_vec()));
        let mut sent = 0;
        network.forge(ip(ALICE), move |mut outgoing| {
            sent += 1;
            match sent {
                1 => vec![],
                2 => vec![outgoing.clone(), outgoing],
                3 => vec![outgoing.after(ms(50))],
                _ => {
                    outgoing.replace("hello", "goodbye");
                    vec![outgoing]
                }
            }
        });
        let (a, b) = (alice.udp(at(ALICE, 5060)).await?, bob.udp(at(BOB, 5060)).await?);
        for text in [b"lost", b"both", b"late"] {
            a.try_send_to(text, at(BOB, 5060))?;
        }
        a.try_send_to(b"hello", at(BOB, 5060))?;
        b.try_send_to(b"hello", at(ALICE, 5060))?;
        let mut received = Vec::new();
        for _ in 0..4 {
            received.push(receive(&b).await?.0);
        }
        assert_eq!(received, [&b"both"[..], b"both", b"goodbye", b"late"]);
        assert_eq!(*seen.lock().expect("one thread"), [&b"both"[..], b"both", b"goodbye", b"hello", b"late"]);
        assert_eq!(receive(&a).await?.0, b"hello");
        Ok(())
    });
}

#[test]
fn a_forger_changes_what_is_written_to_a_stream() {
    world(1, |network, alice, bob| async move {
        network.forge(ip(ALICE), |mut outgoing| {
            outgoing.replace("ping", "one, two");
            vec![outgoing.clone(), outgoing]
        });
        let mut listener = bob.listen(at(BOB, 80)).await?;
        let mut near = alice.connect(at(BOB, 80)).await?;
        let (mut far, _) = listener.accept().await?;
        near.write_all(b"ping").await?;
        near.shutdown().await?;
        let mut read = Vec::new();
        far.read_to_end(&mut read).await?;
        assert_eq!(read, b"one, twoone, two");
        Ok(())
    });
}

#[test]
fn a_port_is_bound_once_and_free_again_after_use() {
    world(1, |_, alice, _| async move {
        let socket = alice.udp(at(ALICE, 5060)).await?;
        assert_eq!(alice.udp(at(ALICE, 5060)).await.err().map(|e| e.kind()), Some(ErrorKind::AddrInUse));
        drop(socket);
        alice.udp(at(ALICE, 5060)).await?;
        assert_eq!(alice.udp(at(BOB, 5060)).await.err().map(|e| e.kind()), Some(ErrorKind::AddrNotAvailable));
        Ok(())
    });
}

#[test]
fn a_stream_carries_bytes_both_ways_and_ends_by_halves() {
    world(1, |network, alice, bob| async move {
        let mut listener = bob.listen(at(BOB, 80)).await?;
        bob.spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = Vec::new();
            stream.read_to_end(&mut request).await.expect("a request");
            stream.write_all(&request.repeat(2)).await.expect("an answer");
        });
        let mut stream = alice.connect(at(BOB, 80)).await?;
        assert_eq!(network.elapsed(), Instant::from_millis(2));
        stream.write_all(b"ping").await?;
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        assert_eq!(answer, b"pingping");
        Ok(())
    });
}

#[test]
fn a_stream_survives_loss_and_keeps_its_order() {
    world(3, |network, alice, bob| async move {
        network.set_default_link(Link { loss: 0.3, jitter: ms(20), ..Link::default() });
        let sent: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
        let expected = sent.clone();
        let mut listener = bob.listen(at(BOB, 80)).await?;
        bob.spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            stream.write_all(&sent).await.expect("the window opens again and again");
        });
        let mut received = Vec::new();
        alice.connect(at(BOB, 80)).await?.read_to_end(&mut received).await?;
        assert!(received == expected, "{} of {} bytes", received.len(), expected.len());
        Ok(())
    });
}

#[test]
fn a_stream_survives_a_short_partition_and_not_a_long_one() {
    world(1, |network, alice, bob| async move {
        let mut listener = bob.listen(at(BOB, 80)).await?;
        let mut near = alice.connect(at(BOB, 80)).await?;
        let (mut far, _) = listener.accept().await?;
        network.partition(ip(ALICE), ip(BOB));
        near.write_all(b"late").await?;
        timer::sleep(Duration::from_secs(5)).await;
        network.repair(ip(ALICE), ip(BOB));
        let mut bytes = [0; 4];
        far.read_exact(&mut bytes).await?;
        assert_eq!(&bytes, b"late");
        network.partition(ip(ALICE), ip(BOB));
        near.write_all(b"never").await?;
        assert_eq!(near.read(&mut bytes).await.err().map(|e| e.kind()), Some(ErrorKind::TimedOut));
        assert!(network.elapsed() >= Instant::from_millis(35_000));
        Ok(())
    });
}

#[test]
fn a_refused_connection_takes_a_round_trip_and_a_dead_address_15_seconds() {
    world(1, |network, alice, _| async move {
        let refused = alice.connect(at(BOB, 81)).await.err().map(|e| e.kind());
        assert_eq!(
            (refused, network.elapsed()),
            (Some(ErrorKind::ConnectionRefused), Instant::from_millis(2))
        );
        let dead = alice.connect(at("10.0.0.99", 80)).await.err().map(|e| e.kind());
        assert_eq!(dead, Some(ErrorKind::TimedOut));
        let waited = network.elapsed().as_nanos() / 1_000_000_000;
        assert!((15..=16).contains(&waited), "{waited} s");
        Ok(())
    });
}

#[test]
fn whose_syn_is_heard_and_never_answered_gives_up_as_well() {
    world(1, |network, alice, bob| async move {
        let _listener = bob.listen(at(BOB, 80)).await?;
        network.partition_one_way(ip(BOB), ip(ALICE));
        let unanswered = alice.connect(at(BOB, 80)).await.err().map(|e| e.kind());
        assert_eq!(unanswered, Some(ErrorKind::TimedOut));
        let waited = network.elapsed().as_nanos() / 1_000_000_000;
        assert!((15..=16).contains(&waited), "{waited} s");
        Ok(())
    });
}

#[test]
fn a_crashed_peer_is_silent_and_after_its_restart_resets() {
    world(1, |network, alice, bob| async move {
        let mut listener = bob.listen(at(BOB, 80)).await?;
        let mut near = alice.connect(at(BOB, 80)).await?;
        let _far = listener.accept().await?;
        network.crash(ip(BOB));
        near.write_all(b"anybody?").await?;
        timer::sleep(ms(500)).await;
        network.bounce(ip(BOB));
        let error = near.read(&mut [0; 4]).await.err().map(|e| e.kind());
        assert_eq!(error, Some(ErrorKind::ConnectionReset));
        Ok(())
    });
}

#[test]
fn a_rate_delays_and_a_full_queue_drops() {
    world(1, |network, alice, bob| async move {
        network.set_default_link(Link { rate: Some(80_000), queue: ms(100), ..Link::default() });
        let arrived = Arc::new(Mutex::new((0, 0)));
        let counted = arrived.clone();
        network.watch(move |packet| {
            let mut counted = counted.lock().expect("one thread");
            *if packet.arrives.is_some() { &mut counted.0 } else { &mut counted.1 } += 1;
        });
        let (a, _b) = (alice.udp(at(ALICE, 1)).await?, bob.udp(at(BOB, 1)).await?);
        for _ in 0..20 {
            a.try_send_to(&[0; 172], at(BOB, 1))?;
        }
        // 200 bytes take 20 ms each: six begin within the 100 ms that the queue holds.
        assert_eq!(*arrived.lock().expect("one thread"), (6, 14));
        Ok(())
    });
}

#[test]
fn nobody_listening_is_told_by_icmp() {
    world(1, |network, alice, _| async move {
        let told = Arc::new(Mutex::new(0));
        let counted = told.clone();
        network.watch(move |packet| {
            *counted.lock().expect("one thread") += u32::from(packet.kind == Kind::Reset)
        });
        let socket = alice.udp(at(ALICE, 1)).await?;
        socket.try_send_to(b"hello?", at(BOB, 9))?;
        timer::sleep(ms(10)).await;
        assert_eq!(*told.lock().expect("one thread"), 1);
        Ok(())
    });
}

#[test]
fn an_idle_hour_is_nothing() {
    world(1, |network, _, _| async move {
        timer::sleep(Duration::from_secs(3_600)).await;
        assert_eq!(network.elapsed(), Instant::from_millis(3_600_000));
        Ok(())
    });
}

#[test]
fn a_disk_keeps_what_was_synced_and_maybe_more() {
    world(1, |network, alice, _| async move {
        let (disk, path) = (alice.disk(), Path::new("calls.jsonl"));
        disk.append(path, b"kept\n".to_vec()).await?;
        disk.sync(path).await?;
        disk.append(path, b"perhaps\n".to_vec()).await?;
        network.bounce(ip(ALICE));
        let left = disk.read(path, 0).await?;
        assert!(left.starts_with(b"kept\n") && left.len() <= 13, "{left:?}");
        Ok(())
    });
}
