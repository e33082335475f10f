//! What programs see when links and machines fail (SIM-04, SIM-06), and when a box stands between them (SIM-05).

use crate::two_hosts::{ALICE, BOB, at, ip, ms, receive, world};
use pbx::shell::host::{Host, Listener, Udp};
use pbx::shell::timer;
use pbx::time::Instant;
use simulator::network::{Dependence, Link, Nat};
use std::io::ErrorKind;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn a_large_datagram_arrives_whole_or_not_at_all() {
    world(1, |network, alice, bob| async move {
        let (a, b) = (alice.udp(at(ALICE, 1)).await?, bob.udp(at(BOB, 1)).await?);
        let large: Vec<u8> = (0..10_000_u32).map(|i| i as u8).collect();
        a.try_send_to(&large, at(BOB, 1))?;
        b.readable().await?;
        let mut buffer = vec![0; 65_536];
        let (length, _) = b.try_recv_from(&mut buffer)?;
        assert!(buffer[..length] == large, "{length} bytes");
        network.set_default_link(Link { drops_fragments: true, ..Link::default() });
        a.try_send_to(&large, at(BOB, 1))?;
        a.try_send_to(b"small", at(BOB, 1))?;
        assert_eq!(receive(&b).await?.0, b"small");
        let refused = a.try_send_to(&[0; 65_508], at(BOB, 1)).err();
        assert_eq!(refused.and_then(|error| error.raw_os_error()), Some(90), "EMSGSIZE");
        Ok(())
    });
}

#[test]
fn what_is_held_arrives_in_order_when_it_is_let_go() {
    world(1, |network, alice, bob| async move {
        let (a, b) = (alice.udp(at(ALICE, 1)).await?, bob.udp(at(BOB, 1)).await?);
        let mut listener = bob.listen(at(BOB, 80)).await?;
        let mut near = alice.connect(at(BOB, 80)).await?;
        let (mut far, _) = listener.accept().await?;
        // Under way already when the link is held.
        a.try_send_to(b"one", at(BOB, 1))?;
        network.hold(ip(ALICE), ip(BOB));
        a.try_send_to(b"two", at(BOB, 1))?;
        near.write_all(b"stream").await?;
        timer::sleep(ms(5_000)).await;
        assert_eq!(b.try_recv_from(&mut [0; 9]).err().map(|e| e.kind()), Some(ErrorKind::WouldBlock));
        network.release(ip(ALICE), ip(BOB));
        assert_eq!(receive(&b).await?.0, b"one");
        assert_eq!(receive(&b).await?.0, b"two");
        far.read_exact(&mut [0; 6]).await?;
        assert_eq!(network.elapsed().as_nanos() / 1_000_000, 5_002);
        Ok(())
    });
}

#[test]
fn a_stream_that_is_held_for_too_long_is_given_up() {
    world(1, |network, alice, bob| async move {
        let mut listener = bob.listen(at(BOB, 80)).await?;
        let mut near = alice.connect(at(BOB, 80)).await?;
        let _far = listener.accept().await?;
        network.hold(ip(ALICE), ip(BOB));
        near.write_all(b"never").await?;
        assert_eq!(near.read(&mut [0; 1]).await.err().map(|e| e.kind()), Some(ErrorKind::TimedOut));
        assert_eq!(network.elapsed().as_nanos() / 1_000_000_000, 30);
        Ok(())
    });
}

#[test]
fn a_host_that_stands_still_keeps_what_comes_and_reads_it_later() {
    world(1, |network, alice, bob| async move {
        let (a, b) = (alice.udp(at(ALICE, 1)).await?, bob.udp(at(BOB, 1)).await?);
        let mut listener = bob.listen(at(BOB, 80)).await?;
        bob.spawn(async move {
            while b.readable().await.is_ok() {
                while let Ok((_, from)) = b.try_recv_from(&mut [0; 9]) {
                    let _ = b.try_send_to(b"pong", from);
                }
            }
        });
        network.pause(ip(BOB));
        a.try_send_to(b"ping", at(BOB, 1))?;
        // The kernel shakes hands, whatever the program does.
        alice.connect(at(BOB, 80)).await?;
        timer::sleep(ms(3_000)).await;
        assert_eq!(a.try_recv_from(&mut [0; 9]).err().map(|e| e.kind()), Some(ErrorKind::WouldBlock));
        network.resume(ip(BOB));
        assert_eq!(receive(&a).await?.0, b"pong");
        listener.accept().await?;
        Ok(())
    });
}

#[test]
fn a_deadline_that_passes_while_a_host_stands_still_is_met_late() {
    world(1, |network, _, bob| async move {
        let (met, when) = tokio::sync::oneshot::channel();
        let clock = bob.clone();
        bob.spawn(async move {
            timer::sleep(ms(100)).await;
            let _ = met.send(clock.now());
        });
        timer::sleep(ms(10)).await;
        network.pause(ip(BOB));
        timer::sleep(ms(690)).await;
        network.resume(ip(BOB));
        assert_eq!(when.await.ok(), Some(Instant::from_millis(700)));
        Ok(())
    });
}

#[test]
fn a_cut_ends_a_stream_in_the_middle_of_a_message() {
    world(1, |network, alice, bob| async move {
        let mut listener = bob.listen(at(BOB, 80)).await?;
        let mut near = alice.connect(at(BOB, 80)).await?;
        let (mut far, _) = listener.accept().await?;
        network.break_streams_after(ip(ALICE), ip(BOB), 5);
        near.write_all(b"hel").await?;
        near.write_all(b"lo world").await?;
        let mut heard = [0; 5];
        far.read_exact(&mut heard).await?;
        assert_eq!(&heard, b"hello");
        for stream in [&mut near, &mut far] {
            assert_eq!(
                stream.read(&mut heard).await.err().map(|e| e.kind()),
                Some(ErrorKind::ConnectionReset)
            );
        }
        Ok(())
    });
}

#[test]
fn a_full_backlog_lets_callers_wait_and_then_give_up() {
    world(1, |network, alice, bob| async move {
        let mut listener = bob.listen(at(BOB, 80)).await?;
        let mut waiting = Vec::new();
        for _ in 0..128 {
            waiting.push(alice.connect(at(BOB, 80)).await?);
        }
        let refused = alice.connect(at(BOB, 80)).await.err().map(|e| e.kind());
        assert_eq!(refused, Some(ErrorKind::TimedOut));
        assert!(network.elapsed() > Instant::from_millis(15_000), "it was tried for a while");
        let late = alice.connect(at(BOB, 80));
        let (late, accepted) = tokio::join!(late, async {
            timer::sleep(ms(1_500)).await;
            listener.accept().await
        });
        accepted?;
        late?;
        Ok(())
    });
}

#[test]
fn a_host_can_call_itself() {
    world(1, |network, alice, _| async move {
        network.set_default_link(Link { loss: 1.0, ..Link::default() });
        let mut listener = alice.listen(at(ALICE, 80)).await?;
        let mut near = alice.connect(at("127.0.0.1", 80)).await?;
        let (mut far, _) = listener.accept().await?;
        near.write_all(b"me").await?;
        far.read_exact(&mut [0; 2]).await?;
        let (one, other) = (alice.udp(at(ALICE, 1)).await?, alice.udp(at("127.0.0.1", 2)).await?);
        one.try_send_to(b"me", at(ALICE, 2))?;
        assert_eq!(receive(&other).await?.1, at(ALICE, 1));
        assert!(network.elapsed() < Instant::from_millis(1), "no wire is that short");
        Ok(())
    });
}

#[test]
fn who_was_not_accepted_is_reset_when_nobody_listens_any_more() {
    world(1, |_, alice, bob| async move {
        let listener = bob.listen(at(BOB, 80)).await?;
        let mut near = alice.connect(at(BOB, 80)).await?;
        drop(listener);
        assert_eq!(near.read(&mut [0; 1]).await.err().map(|e| e.kind()), Some(ErrorKind::ConnectionReset));
        let refused = alice.connect(at(BOB, 80)).await.err().map(|e| e.kind());
        assert_eq!(refused, Some(ErrorKind::ConnectionRefused));
        Ok(())
    });
}

#[test]
fn an_end_that_nobody_holds_does_not_wait_for_ever() {
    world(1, |_, alice, bob| async move {
        let mut listener = bob.listen(at(BOB, 80)).await?;
        let near = alice.connect(at(BOB, 80)).await?;
        let (mut far, _) = listener.accept().await?;
        drop(near);
        assert_eq!(far.read(&mut [0; 1]).await?, 0);
        timer::sleep(ms(61_000)).await;
        far.write_all(b"still there?").await?;
        timer::sleep(ms(10)).await;
        assert!(far.write_all(b"no").await.is_err(), "after a minute in FIN_WAIT2 nobody is");
        Ok(())
    });
}

#[test]
fn one_socket_behind_a_router_has_one_or_several_faces() {
    let faces = |mapping| {
        world(1, move |network, _, bob| async move {
            network.nat(1, "router", Nat { mapping, ..Nat::default() });
            let inside = network.host_behind(1, "carol", 2);
            let socket = inside.udp(at("192.168.1.2", 5060)).await?;
            let carol = network.host("dave", ip("10.0.0.9"));
            let others =
                [bob.udp(at(BOB, 1)).await?, bob.udp(at(BOB, 2)).await?, carol.udp(at("10.0.0.9", 1)).await?];
            let mut faces = Vec::new();
            for other in &others {
                socket.try_send_to(b"hello", other.local_addr()?)?;
                faces.push(receive(other).await?.1);
            }
            assert!(faces.iter().all(|face| face.ip() == ip("203.0.113.1") && face.port() % 2 == 0));
            faces.dedup();
            let expected = match mapping {
                Dependence::Independent => 1,
                Dependence::Address => 2,
                Dependence::AddressAndPort => 3,
            };
            assert_eq!(faces.len(), expected, "{mapping:?}");
            Ok(())
        });
    };
    [Dependence::Independent, Dependence::Address, Dependence::AddressAndPort].into_iter().for_each(faces);
}

#[test]
fn a_router_lets_in_whom_it_is_told_to() {
    let let_in = |filtering| {
        world(1, move |network, alice, bob| async move {
            network.nat(1, "router", Nat { filtering, ..Nat::default() });
            let inside = network.host_behind(1, "carol", 2).udp(at("192.168.1.2", 5060)).await?;
            let known = bob.udp(at(BOB, 1)).await?;
            inside.try_send_to(b"hello", at(BOB, 1))?;
            let face = receive(&known).await?.1;
            let neighbour = bob.udp(at(BOB, 2)).await?;
            let stranger = alice.udp(at(ALICE, 1)).await?;
            for (socket, word) in [(&known, b"known"), (&neighbour, b"neigh"), (&stranger, b"stran")] {
                socket.try_send_to(word, face)?;
                timer::sleep(ms(5)).await;
            }
            let mut heard = 0;
            while inside.try_recv_from(&mut [0; 9]).is_ok() {
                heard += 1;
            }
            let expected = match filtering {
                Dependence::Independent => 3,
                Dependence::Address => 2,
                Dependence::AddressAndPort => 1,
            };
            assert_eq!(heard, expected, "{filtering:?}");
            Ok(())
        });
    };
    [Dependence::Independent, Dependence::Address, Dependence::AddressAndPort].into_iter().for_each(let_in);
}

#[test]
fn a_binding_is_forgotten_and_the_next_is_another() {
    world(1, |network, _, bob| async move {
        let router = network.nat(1, "router", Nat { timeout: ms(30_000), ..Nat::default() });
        let inside = network.host_behind(1, "carol", 2).udp(at("192.168.1.2", 5060)).await?;
        let outside = bob.udp(at(BOB, 1)).await?;
        inside.try_send_to(b"hello", at(BOB, 1))?;
        let first = receive(&outside).await?.1;
        timer::sleep(ms(29_000)).await;
        inside.try_send_to(b"still here", at(BOB, 1))?;
        assert_eq!(receive(&outside).await?.1, first, "what is sent from inside keeps it");
        timer::sleep(ms(31_000)).await;
        outside.try_send_to(b"carol?", first)?;
        timer::sleep(ms(5)).await;
        assert!(inside.try_recv_from(&mut [0; 9]).is_err(), "it was forgotten");
        inside.try_send_to(b"again", at(BOB, 1))?;
        let second = receive(&outside).await?.1;
        assert!(second != first && second.ip() == router);
        Ok(())
    });
}

#[test]
fn neighbours_reach_each_other_from_outside_only_through_a_hairpin() {
    for hairpins in [true, false] {
        world(1, move |network, _, bob| async move {
            network.nat(1, "router", Nat { hairpins, ..Nat::default() });
            let carol = network.host_behind(1, "carol", 2).udp(at("192.168.1.2", 5060)).await?;
            let dave = network.host_behind(1, "dave", 3).udp(at("192.168.1.3", 5060)).await?;
            let outside = bob.udp(at(BOB, 1)).await?;
            dave.try_send_to(b"hello", at(BOB, 1))?;
            let face = receive(&outside).await?.1;
            // Filtering by address holds for the box's own address too.
            dave.try_send_to(b"opens", SocketAddr::new(face.ip(), 9))?;
            carol.try_send_to(b"over the roof", face)?;
            carol.try_send_to(b"over the fence", at("192.168.1.3", 5060))?;
            timer::sleep(ms(10)).await;
            let mut heard = 0;
            while let Ok((_, from)) = dave.try_recv_from(&mut [0; 99]) {
                assert!(from.ip() == face.ip() || from == at("192.168.1.2", 5060), "{from}");
                heard += 1;
            }
            assert_eq!(heard, if hairpins { 2 } else { 1 });
            Ok(())
        });
    }
}

#[test]
fn a_stream_from_behind_a_router_is_seen_at_the_router() {
    world(1, |network, _, bob| async move {
        let router = network.nat(1, "router", Nat::default());
        network.set_link(router, ip(BOB), Link { loss: 0.3, ..Link::default() });
        let mut listener = bob.listen(at(BOB, 80)).await?;
        let inside = network.host_behind(1, "carol", 2);
        let mut near = inside.connect(at(BOB, 80)).await?;
        let (mut far, peer) = listener.accept().await?;
        assert_eq!(peer.ip(), router);
        near.write_all(&[7; 50_000]).await?;
        near.shutdown().await?;
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await?;
        assert_eq!(heard.len(), 50_000);
        far.write_all(b"thanks").await?;
        near.read_exact(&mut [0; 6]).await?;
        let refused = bob.connect(SocketAddr::new(router, 80)).await.err().map(|e| e.kind());
        assert_eq!(refused, Some(ErrorKind::TimedOut), "a router does not answer who calls it");
        Ok(())
    });
}
