//! `[[queues]]`: callers who wait for agents.

use super::Extension;
use super::parse::{DAY, HOUR};
use super::raw::{self, S};
use super::reader::{Reader, Result};
use crate::time::Duration;
use std::path::PathBuf;

/// `[[queues]]`
#[derive(Clone, Debug)]
pub struct Queue {
    /// What routes and applications call it.
    pub name: String,
    /// The extensions that take calls, in the order in which they are rung.
    pub agents: Vec<String>,
    /// Who is rung.
    pub strategy: Strategy,
    /// How long an agent is rung.
    pub ring_timeout: Duration,
    /// How long an agent is left alone after a talk.
    pub wrap_up: Duration,
    /// How long a caller waits at most; `None`: for ever.
    pub max_wait: Option<Duration>,
    /// Where a caller goes who has waited so long.
    pub then: Option<String>,
    /// What callers hear; `None`: as on hold.
    pub music: Option<PathBuf>,
    /// What they are told now and then.
    pub announcement: Option<PathBuf>,
    /// How often.
    pub announce_every: Option<Duration>,
}

/// Who is rung for the first caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// All who are free.
    All,
    /// The first who is free, in the order of the list.
    #[default]
    InTurn,
    /// Who has been free for the longest time.
    LongestIdle,
}

impl Reader<'_> {
    pub(super) fn queues(&self, raw: Vec<raw::Queue>, extensions: &[Extension]) -> Result<Vec<Queue>> {
        let mut queues: Vec<Queue> = Vec::with_capacity(raw.len());
        for raw in raw {
            let span = raw.name.span();
            let queue = self.queue(raw, extensions)?;
            if queues.iter().any(|other| other.name == queue.name) {
                return Err(self.wrong(span, format!("the queue `{}` stands twice", queue.name)));
            }
            queues.push(queue);
        }
        Ok(queues)
    }

    fn queue(&self, raw: raw::Queue, extensions: &[Extension]) -> Result<Queue> {
        let numbers = || extensions.iter().map(|extension| extension.number.as_str());
        if let Some(unknown) =
            raw.agents.iter().find(|agent| numbers().all(|number| number != agent.as_ref()))
        {
            let message = format!("there is no extension `{}`", unknown.as_ref());
            return Err(self.wrong(unknown.span(), message).did_you_mean(unknown.as_ref(), numbers()));
        }
        let strategy = match &raw.strategy {
            None => Strategy::default(),
            Some(text) => match text.as_ref().as_str() {
                "all" => Strategy::All,
                "in_turn" => Strategy::InTurn,
                "longest_idle" => Strategy::LongestIdle,
                _ => return Err(self.wrong(text.span(), "expected `all`, `in_turn` or `longest_idle`")),
            },
        };
        let every_span = raw.announce_every_seconds.as_ref().map(S::span);
        let announce_every = match raw.announce_every_seconds {
            Some(every) => Some(self.seconds(Some(every), 0, 1..=HOUR)?),
            None => None,
        };
        let announcement = raw.announcement.map(|text| self.file(text)).transpose()?;
        if let (Some(span), None) = (every_span, &announcement) {
            return Err(self.wrong(span, "expected `announcement` with the file that is played"));
        }
        let announce_every = announcement.as_ref().map(|_| announce_every.unwrap_or(Duration::from_secs(30)));
        Ok(Queue {
            name: self.user(&raw.name)?,
            agents: raw.agents.into_iter().map(S::into_inner).collect(),
            strategy,
            ring_timeout: self.seconds(raw.ring_timeout_seconds, 15, 1..=600)?,
            wrap_up: self.seconds(raw.wrap_up_seconds, 0, 0..=HOUR)?,
            max_wait: match raw.max_wait_seconds {
                Some(longest) => Some(self.seconds(Some(longest), 0, 1..=DAY)?),
                None => None,
            },
            then: raw.then.map(|number| self.user(&number)).transpose()?,
            music: raw.music.map(|text| self.file(text)).transpose()?,
            announcement,
            announce_every,
        })
    }
}
