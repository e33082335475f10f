//! Three networks, one story (SIM-17): what programs see is the same on ours, on turmoil and on the loopback of this machine.
//!
//! The loopback is right, being what programs will run on; turmoil is another opinion. Where it differs, it is said here
//! why, so that a change of its mind or of ours is noticed.

use pbx::shell::host::{Host, Listener, Udp};
use pbx::shell::timer;
use pbx::time::Duration;
use scenarios::ground;
use scenarios::play::Settings;
use scenarios::suite::{cases, cores, hush, play_all};
use simulator::network::{Ground, SimHost};
use simulator::stage::Stage;
use simulator::world::World;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::Path;
use std::pin::Pin;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Where servers listen.
const PORT: u16 = 7_000;

/// Of so many scenarios one is played on turmoil; all of them by `TANDEM_NETWORK=turmoil cargo test --test features`.
const EACH: usize = 3;

/// A while in which everything that is under way arrives.
const WHILE: Duration = Duration::from_millis(100);

#[test]
fn features_come_out_on_turmoil_as_on_our_network() {
    hush();
    let all = cases(Path::new("features")).expect("the features can be read");
    let quick = all.into_iter().filter(|case| !case.has_tag("slow"));
    // It goes by steps of a millisecond and takes its time: a part of them each day.
    let wanted: Vec<_> = ground::those_for(quick, &Ground::Turmoil).step_by(EACH).collect();
    let outcomes = play_all(&wanted, cores(), Settings { seed: 1, until: None }, |_, _| ());
    let played = outcomes.iter().filter(|outcome| outcome.unplayable.is_none()).count();
    assert!(played > 80, "turmoil can play most of them, and played {played}");
    for (case, outcome) in wanted.iter().zip(&outcomes) {
        assert!(outcome.failure.is_none(), "{} on turmoil: {:?}", case.name, outcome.failure);
    }
}

#[test]
fn quick_scenarios_come_out_on_the_loopback_with_the_pbx_as_a_process() {
    hush();
    let real = ground::real().expect("the PBX can be built");
    let all = cases(Path::new("features")).expect("the features can be read");
    let wanted: Vec<_> = ground::those_for(all.into_iter(), &real).collect();
    assert!(wanted.len() > 10, "there are {} of them", wanted.len());
    // They wait more than they work.
    let threads = NonZero::new(8).expect("eight is not zero");
    let outcomes = play_all(&wanted, threads, Settings { seed: 1, until: None }, |_, _| ());
    for (case, outcome) in wanted.iter().zip(&outcomes) {
        let came_out = outcome.failure.is_none() && outcome.unplayable.is_none();
        assert!(came_out, "{} on the loopback: {:?}", case.name, outcome);
    }
}

#[test]
fn nobody_listens() {
    alike(
        &[],
        |_, _| Box::pin(async { Vec::new() }),
        |host, server| Box::pin(async move { vec![saw(host.connect(server).await.map(|_| "connected"))] }),
    );
}

#[test]
fn nobody_listens_any_more() {
    let server: Program = |host, at| {
        Box::pin(async move {
            drop(host.listen(at).await);
            Vec::new()
        })
    };
    alike(&[], server, |host, server| {
        Box::pin(async move { vec![saw(host.connect(server).await.map(|_| "connected"))] })
    });
}

#[test]
fn both_talk_and_both_end() {
    let server: Program = |host, at| {
        Box::pin(async move {
            let (mut stream, peer) = accept(&host, at).await;
            let mut story = vec![read(&mut stream, 4).await];
            story.push(saw(stream.write_all(b"pong").await));
            story.push(format!("the peer is another: {}", peer.ip() != at.ip()));
            story.push(read_all(&mut stream).await);
            story
        })
    };
    alike(&[], server, |host, server| {
        Box::pin(async move {
            let mut stream = host.connect(server).await.expect("it listens");
            let mut story = vec![saw(stream.write_all(b"ping").await)];
            story.push(read(&mut stream, 4).await);
            story.push(saw(stream.shutdown().await));
            story.push(read_all(&mut stream).await);
            story
        })
    });
}

#[test]
fn one_half_is_closed_and_the_other_goes_on() {
    let server: Program = |host, at| {
        Box::pin(async move {
            let (mut stream, _) = accept(&host, at).await;
            let mut story = vec![read_all(&mut stream).await];
            timer::sleep(WHILE).await;
            story.push(saw(stream.write_all(&[1; 5_000]).await));
            story
        })
    };
    alike(&[], server, |host, server| {
        Box::pin(async move {
            let mut stream = host.connect(server).await.expect("it listens");
            let mut story = vec![saw(stream.write_all(b"question").await), saw(stream.shutdown().await)];
            story.push(saw(stream.write_all(b"more").await));
            story.push(read_all(&mut stream).await);
            story
        })
    });
}

#[test]
fn what_was_written_before_the_end_arrives() {
    let server: Program = |host, at| {
        Box::pin(async move {
            let (mut stream, _) = accept(&host, at).await;
            vec![saw(stream.write_all(&[2; 30_000]).await)]
        })
    };
    alike(&[], server, |host, server| {
        Box::pin(async move {
            let mut stream = host.connect(server).await.expect("it listens");
            timer::sleep(WHILE).await;
            vec![read_all(&mut stream).await]
        })
    });
}

#[test]
fn bytes_that_nobody_reads_are_answered_by_a_reset() {
    let server: Program = |host, at| {
        Box::pin(async move {
            let (stream, _) = accept(&host, at).await;
            timer::sleep(WHILE).await;
            drop(stream);
            Vec::new()
        })
    };
    let differs = [(Ground::Turmoil, "turmoil ends a stream by FIN, whether all of it was read or not")];
    alike(&differs, server, |host, server| {
        Box::pin(async move {
            let mut stream = host.connect(server).await.expect("it listens");
            let mut story = vec![saw(stream.write_all(b"never read").await)];
            story.push(read(&mut stream, 1).await);
            story.push(read_all(&mut stream).await);
            story
        })
    });
}

#[test]
fn who_writes_to_somebody_gone_is_told_the_second_time() {
    let server: Program = |host, at| {
        Box::pin(async move {
            drop(accept(&host, at).await);
            Vec::new()
        })
    };
    alike(&[], server, |host, server| {
        Box::pin(async move {
            let mut stream = host.connect(server).await.expect("it listens");
            timer::sleep(WHILE).await;
            let mut story = vec![saw(stream.write_all(b"one").await)];
            timer::sleep(WHILE).await;
            story.push(saw(stream.write_all(b"two").await));
            story
        })
    });
}

#[test]
fn a_connection_is_there_before_it_is_accepted() {
    let server: Program = |host, at| {
        Box::pin(async move {
            let mut listener = host.listen(at).await.expect("the port is free");
            timer::sleep(3 * WHILE).await;
            let (mut stream, _) = listener.accept().await.expect("it waits");
            vec![read_all(&mut stream).await]
        })
    };
    let differs = [(Ground::Turmoil, "a handshake of turmoil ends when the server accepts")];
    alike(&differs, server, |host, server| {
        Box::pin(async move {
            let before = host.now();
            let mut stream = host.connect(server).await.expect("it listens");
            let was_quick = host.now().since(before) < WHILE;
            vec![format!("quick: {was_quick}"), saw(stream.write_all(b"early").await)]
        })
    });
}

#[test]
fn many_streams_do_not_mix() {
    let server: Program = |host, at| {
        Box::pin(async move {
            let mut listener = host.listen(at).await.expect("the port is free");
            let mut peers = std::collections::BTreeSet::new();
            for _ in 0..20 {
                let (mut stream, peer) = listener.accept().await.expect("they come");
                peers.insert(peer);
                host.spawn(async move {
                    let mut bytes = Vec::new();
                    let _ = stream.read_to_end(&mut bytes).await;
                    let _ = stream.write_all(&bytes).await;
                });
            }
            vec![format!("{} peers", peers.len())]
        })
    };
    alike(&[], server, |host, server| {
        Box::pin(async move {
            let mut streams = Vec::new();
            for number in 0..20_u8 {
                let mut stream = host.connect(server).await.expect("it listens");
                stream.write_all(&[number; 3_000]).await.expect("it is open");
                stream.shutdown().await.expect("it is open");
                streams.push(stream);
            }
            let mut story = Vec::new();
            for stream in &mut streams {
                story.push(read_all(stream).await);
            }
            story
        })
    });
}

#[test]
fn a_large_transfer_arrives_in_order() {
    let server: Program = |host, at| {
        Box::pin(async move {
            let (mut stream, _) = accept(&host, at).await;
            let mut bytes = Vec::new();
            let ended = saw(stream.read_to_end(&mut bytes).await.map(|_| "read"));
            let is_right = bytes.iter().enumerate().all(|(at, byte)| *byte == (at % 251) as u8);
            vec![ended, format!("{} bytes, in order: {is_right}", bytes.len())]
        })
    };
    alike(&[], server, |host, server| {
        Box::pin(async move {
            let mut stream = host.connect(server).await.expect("it listens");
            let bytes: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
            vec![
                saw(stream.write_all(&bytes).await),
                saw(stream.shutdown().await),
                read_all(&mut stream).await,
            ]
        })
    });
}

#[test]
fn datagrams_keep_their_borders_and_say_where_they_come_from() {
    let server: Program = |host, at| {
        Box::pin(async move {
            let socket = host.udp(at).await.expect("the port is free");
            let mut story = Vec::new();
            for room in [2_000, 2_000, 2_000, 10, 60_000] {
                story.push(receive(&socket, room).await);
            }
            story
        })
    };
    alike(&[], server, |host, server| {
        Box::pin(async move {
            timer::sleep(WHILE).await;
            let here = SocketAddr::new(host.address(), 5_060);
            let socket = host.udp(here).await.expect("the port is free");
            let mut story = Vec::new();
            for length in [1, 1_400, 0, 100, 20_000] {
                story.push(saw(socket.try_send_to(&vec![7; length], server)));
            }
            timer::sleep(WHILE).await;
            story
        })
    });
}

#[test]
fn a_datagram_to_nobody_troubles_no_socket_that_is_not_connected() {
    alike(
        &[],
        |_, _| Box::pin(async { Vec::new() }),
        |host, server| {
            Box::pin(async move {
                let here = SocketAddr::new(host.address(), 5_060);
                let socket = host.udp(here).await.expect("the port is free");
                let mut story = vec![saw(socket.try_send_to(b"anybody?", server))];
                timer::sleep(WHILE).await;
                story.push(saw(socket.try_recv_from(&mut [0; 10]).map(|_| "something")));
                story.push(saw(socket.try_send_to(b"anybody?", server)));
                story
            })
        },
    );
}

#[test]
fn a_port_belongs_to_one_socket() {
    let server: Program = |host, at| {
        Box::pin(async move {
            let udp = host.udp(at).await;
            let mut story = vec![saw(udp.as_ref().map(|_| "bound").map_err(|error| error.kind().into()))];
            story.push(saw(host.udp(at).await.map(|_| "bound")));
            let tcp = host.listen(at).await;
            story.push(saw(tcp.as_ref().map(|_| "bound").map_err(|error| error.kind().into())));
            story.push(saw(host.listen(at).await.map(|_| "bound")));
            drop((udp, tcp));
            timer::sleep(WHILE).await;
            story.push(saw(host.udp(at).await.map(|_| "bound")));
            story.push(saw(host.listen(at).await.map(|_| "bound")));
            story
        })
    };
    alike(&[], server, |_, _| Box::pin(async { Vec::new() }));
}

/// What one side does at its host, given where the server is, and what it saw.
type Program = fn(SimHost, SocketAddr) -> Pin<Box<dyn Future<Output = Vec<String>> + Send>>;

/// Plays both sides on every network and compares what they saw with what the loopback says.
fn alike(differs: &[(Ground, &str)], server: Program, client: Program) {
    let right = played(Ground::Real("no PBX".into()), server, client);
    for ground in [Ground::Own, Ground::Turmoil] {
        let seen = played(ground.clone(), server, client);
        match differs.iter().find(|(known, _)| *known == ground) {
            Some((_, why)) => assert_ne!(seen, right, "it is no longer so on {ground} that {why}"),
            None => assert_eq!(seen, right, "on {ground} it is not as on the loopback"),
        }
    }
}

fn played(ground: Ground, server: Program, client: Program) -> (Vec<String>, Vec<String>) {
    let world = World::over(ground, 1);
    let story = world.play(async move |stage: &mut Stage| {
        let (here, there) = (stage.host("client"), stage.host("server"));
        let at = SocketAddr::new(there.address(), PORT);
        let (tell, told) = tokio::sync::oneshot::channel();
        let its_host = there.clone();
        there.spawn(async move {
            let _ = tell.send(server(its_host, at).await);
        });
        stage.pass(WHILE / 2).await;
        let client = here.within(client(here.clone(), at)).await;
        (client, told.await.expect("the server comes to its end"))
    });
    futures::executor::block_on(story)
}

async fn accept(
    host: &SimHost,
    at: SocketAddr,
) -> (impl AsyncReadExt + AsyncWriteExt + Unpin + use<>, SocketAddr) {
    let mut listener = host.listen(at).await.expect("the port is free");
    listener.accept().await.expect("somebody connects")
}

/// Reads so many bytes.
async fn read(stream: &mut (impl AsyncReadExt + Unpin), length: usize) -> String {
    let mut bytes = vec![0; length];
    saw(stream.read_exact(&mut bytes).await.map(|_| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Reads until there is no more.
async fn read_all(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes).await;
    format!("{} bytes of {:?}, then {}", bytes.len(), bytes.first(), saw(ended.map(|_| "the end")))
}

async fn receive(socket: &impl Udp, room: usize) -> String {
    let mut buffer = vec![0; room];
    if let Err(error) = socket.readable().await {
        return format!("{:?}", error.kind());
    }
    saw(socket
        .try_recv_from(&mut buffer)
        .map(|(length, from)| format!("{length} bytes from port {}", from.port())))
}

/// A result in words that are the same everywhere.
fn saw<T: std::fmt::Debug>(result: io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) if error.kind() == ErrorKind::WouldBlock => "nothing yet".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    }
}
