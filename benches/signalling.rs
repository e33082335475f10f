//! What a SIP message costs: to read it, to look into it, to write it, to cut it out of a stream.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pbx::sip::{Framer, Limits, Message, Name, Request, Response, StatusCode, Uri};
use std::hint::black_box;

/// 1.2 KB, as a telephone sends it through a proxy.
const INVITE: &[u8] = include_bytes!("../fixtures/sip/usual/invite.sip");

fn message(c: &mut Criterion) {
    let limits = Limits::default();
    let request = invite();
    let mut group = c.benchmark_group("message");
    group.throughput(Throughput::Bytes(INVITE.len() as u64));
    group.bench_function("parse", |b| b.iter(|| Message::parse(black_box(INVITE), &limits).is_ok()));
    group.bench_function("typed", |b| b.iter(|| look(black_box(&request))));
    group.bench_function("validate", |b| b.iter(|| black_box(&request).validate().is_ok()));
    let mut out = Vec::with_capacity(2048);
    group.bench_function("write", |b| {
        b.iter(|| {
            out.clear();
            black_box(&request).write(&mut out);
            out.len()
        });
    });
    group.bench_function("answer", |b| {
        b.iter(|| Response::to(black_box(&request), StatusCode::RINGING, Some("tag")));
    });
    group.finish();
}

/// Everything that the layers above ask of an INVITE.
fn look(request: &Request) -> usize {
    let via = request.via().expect("valid");
    let from = request.from().expect("valid");
    let to = request.to_header().expect("valid");
    let cseq = request.cseq().expect("valid");
    let contact = request.contact().expect("valid");
    let uri = Uri::parse(request.uri()).expect("valid");
    let length: usize = request.headers().get(Name::ContentLength).expect("there").parse().expect("a number");
    let uris = [from, to, contact].map(|address| address.parse_uri().expect("valid").host.as_str().len());
    let tags = from.tag().map_or(0, str::len) + to.tag().map_or(0, str::len);
    let branch = via.branch().map_or(0, str::len);
    uris.iter().sum::<usize>() + tags + branch + cseq.number as usize + uri.host.as_str().len() + length
}

/// One connection that brings a hundred messages, in segments of one MTU and byte by byte.
fn framing(c: &mut Criterion) {
    let stream = INVITE.repeat(100);
    let mut group = c.benchmark_group("framing");
    group.throughput(Throughput::Bytes(stream.len() as u64));
    for segment in [1460, 1] {
        group.bench_function(format!("segments of {segment}"), |b| {
            b.iter(|| frames(black_box(&stream), segment))
        });
    }
    group.finish();
}

fn frames(stream: &[u8], segment: usize) -> usize {
    let mut framer = Framer::new(Limits::default().message);
    let mut count = 0;
    for bytes in stream.chunks(segment) {
        framer.push(bytes);
        while let Ok(Some(_)) = framer.next() {
            count += 1;
        }
    }
    count
}

/// Twice the bytes take twice the time, whatever they are.
fn hostile(c: &mut Criterion) {
    let limits = Limits { message: 65_535, line: 65_535, lines: 65_535 };
    let mut group = c.benchmark_group("hostile");
    for size in [15_000, 30_000, 60_000] {
        group.throughput(Throughput::Bytes(size as u64));
        for (name, header, unit) in HOSTILE {
            let text =
                INVITE_HEAD.replacen("HOSTILE", &format!("{header}{}", unit.repeat(size / unit.len())), 1);
            group.bench_function(format!("{name}/{size}"), |b| {
                b.iter(|| match Message::parse(black_box(text.as_bytes()), &limits) {
                    Ok(Message::Request(request)) => request.validate().is_ok(),
                    _ => false,
                });
            });
        }
    }
    group.finish();
}

/// What is repeated behind the beginning of which line.
const HOSTILE: [(&str, &str, &str); 8] = [
    ("folds", "Subject: x", "\r\n "),
    ("lines", "Subject: x", "\r\nX: a"),
    ("vias", "Via: SIP/2.0/UDP a", ",SIP/2.0/UDP a"),
    ("parameters", "Route: <sip:a>", ";a"),
    ("quotes", "Route: \"", "\\\""),
    ("brackets", "Route: ", "<sip:a>,"),
    ("commas", "Contact: <sip:a>", ","),
    ("at signs", "Route: <sip:a", "@"),
];

const INVITE_HEAD: &str = "INVITE sip:a SIP/2.0\r\nHOSTILE\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a>;tag=1\r\n\
                           To: <sip:a>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContact: <sip:a>\r\n\r\n";

fn invite() -> Request {
    match Message::parse(INVITE, &Limits::default()) {
        Ok(Message::Request(request)) => request,
        other => panic!("no request: {other:?}"),
    }
}

criterion_group!(benches, message, framing, hostile);
criterion_main!(benches);
