//! Many who hear each other, each as loud for each as is wanted; nobody hears itself.
//!
//! All voices are added once, and each hears the sum less its own: what a mix costs grows with its members, not with the
//! pairs of them. Only pairs for which something of their own was said cost more.

use super::MixId;
use super::stream::Stream;
use crate::audio::{Gain, Narrowband, Sum};

/// Pairs of one mix that may have a gain of their own.
const PAIRS: usize = 10_000;
/// Samples that may wait to be sent: more than the longest packet has.
const WAITING: usize = 4096;

/// Who hears whom.
#[derive(Debug)]
pub(super) struct Mix {
    pub(super) id: MixId,
    members: Vec<Member>,
    /// What holds for single pairs: who hears, who is heard, how loud; in this order.
    pairs: Vec<(u32, u32, Gain)>,
    /// What all say, as it was heard last.
    all: Narrowband,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    slot: u32,
    /// How loud it is for all of whom nothing else was said.
    voice: Gain,
}

impl Mix {
    pub(super) fn new(id: MixId) -> Mix {
        Mix { id, members: Vec::new(), pairs: Vec::new(), all: Narrowband::SILENT }
    }

    /// One more, or the same with another voice.
    pub(super) fn join(&mut self, slot: u32, voice: Gain) {
        self.members.retain(|member| member.slot != slot);
        self.members.push(Member { slot, voice });
    }

    /// One less; nothing is kept of it.
    pub(super) fn leave(&mut self, slot: u32) {
        self.members.retain(|member| member.slot != slot);
        self.pairs.retain(|(to, from, _)| *to != slot && *from != slot);
    }

    /// Who is in it.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        self.members.iter().map(|member| member.slot)
    }

    /// Its members have other slots; who has none is gone.
    pub(super) fn move_members(&mut self, new: impl Fn(u32) -> Option<u32>) {
        self.members =
            self.members.iter().filter_map(|one| Some(Member { slot: new(one.slot)?, ..*one })).collect();
        self.pairs =
            self.pairs.iter().filter_map(|(to, from, gain)| Some((new(*to)?, new(*from)?, *gain))).collect();
        self.pairs.sort_unstable_by_key(|(to, from, _)| (*to, *from));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// How loud one is for another from now on.
    pub(super) fn set(&mut self, from: u32, to: u32, gain: Gain) {
        if from == to {
            return;
        }
        match self.pairs.binary_search_by_key(&(to, from), |(to, from, _)| (*to, *from)) {
            Ok(at) => self.pairs[at].2 = gain,
            Err(at) if self.pairs.len() < PAIRS => self.pairs.insert(at, (to, from, gain)),
            Err(_) => {}
        }
    }

    /// 20 ms: what each says goes to all who hear it.
    pub(super) fn turn(&mut self, streams: &mut [Option<Box<Stream>>]) {
        let mut all = Sum::EMPTY;
        for member in &self.members {
            all.add(heard(streams, member.slot), member.voice);
        }
        self.all = all.saturate();
        for member in &self.members {
            let mut others = all;
            others.take_away(heard(streams, member.slot), member.voice);
            let first = self.pairs.partition_point(|(to, ..)| *to < member.slot);
            for (_, from, gain) in self.pairs[first..].iter().take_while(|(to, ..)| *to == member.slot) {
                let Some(other) = self.members.iter().find(|other| other.slot == *from) else { continue };
                others.take_away(heard(streams, *from), other.voice);
                others.add(heard(streams, *from), *gain);
            }
            if let Some(stream) = streams[member.slot as usize].as_deref_mut() {
                stream.hear(&others.saturate());
            }
        }
    }

    /// What all said last; `ahead`: what they are going to have said so many frames later.
    pub(super) fn all(&self, streams: &[Option<Box<Stream>>], ahead: u32) -> Narrowband {
        if ahead == 0 {
            return self.all;
        }
        let mut all = Sum::EMPTY;
        for member in &self.members {
            if let Some(frame) =
                streams[member.slot as usize].as_deref().and_then(|stream| stream.said(ahead))
            {
                all.add(&frame, member.voice);
            }
        }
        all.saturate()
    }
}

fn heard(streams: &[Option<Box<Stream>>], slot: u32) -> &Narrowband {
    let hearing = streams[slot as usize].as_deref().and_then(|stream| stream.incoming.hearing.as_deref());
    hearing.map_or(&Narrowband::SILENT, |hearing| hearing.frame(0))
}

/// What a member of a mix is to be sent: frames come in, packets of any length go out.
#[derive(Clone, Debug)]
pub(super) struct Ear {
    samples: Box<[i16; WAITING]>,
    first: usize,
    length: usize,
}

impl Ear {
    pub(super) fn new() -> Ear {
        Ear { samples: Box::new([0; WAITING]), first: 0, length: 0 }
    }

    /// 20 ms more. Where nothing is sent, the oldest make room.
    pub(super) fn push(&mut self, frame: &Narrowband) {
        let count = frame.0.len();
        let over = (self.length + count).saturating_sub(WAITING);
        self.drop(over);
        for (n, sample) in frame.0.iter().enumerate() {
            self.samples[(self.first + self.length + n) % WAITING] = *sample;
        }
        self.length += count;
    }

    /// The samples of the next packet; silence where there is too little.
    pub(super) fn fill(&self, samples: &mut [i16]) {
        for (n, sample) in samples.iter_mut().enumerate() {
            *sample = if n < self.length { self.samples[(self.first + n) % WAITING] } else { 0 };
        }
    }

    /// Time goes on by one packet, sent or not.
    pub(super) fn advance(&mut self, samples: usize) {
        self.drop(samples.min(self.length));
    }

    fn drop(&mut self, count: usize) {
        self.first = (self.first + count) % WAITING;
        self.length -= count;
    }
}
