//! `[voicemail]` and `[[mailboxes]]`: where messages are kept that are left for extensions.

use super::Extension;
use super::parse::{DAY, HOUR};
use super::raw::{self, S};
use super::reader::{Reader, Result};
use crate::time::Duration;
use std::path::PathBuf;

/// `[voicemail]`
#[derive(Clone, Debug)]
pub struct Voicemail {
    /// Where messages are kept; `None`: there are no mailboxes.
    pub directory: Option<PathBuf>,
    /// What callers hear before the beep; a short tone where nothing is said.
    pub greeting: Option<PathBuf>,
    /// A message ends by itself when it is so long.
    pub longest: Duration,
    /// One that is shorter is thrown away.
    pub shortest: Duration,
    /// A message ends when nothing was said for so long; `None`: it does not.
    pub silence: Option<Duration>,
    /// Messages in one mailbox.
    pub messages: usize,
    /// All messages of one mailbox together.
    pub total: Duration,
    /// Whether telephones of the owner are told of messages for which they have not subscribed.
    pub unsolicited: bool,
    /// `[[mailboxes]]`
    pub mailboxes: Vec<Mailbox>,
}

/// `[[mailboxes]]`
#[derive(Clone, Debug)]
pub struct Mailbox {
    /// Whose it is.
    pub extension: String,
    /// What lets its owner in from another telephone; `None`: nothing does.
    pub pin: Option<String>,
    /// What callers hear before the beep, in the place of the greeting of all.
    pub greeting: Option<PathBuf>,
}

impl Voicemail {
    /// The mailbox of an extension.
    pub fn mailbox(&self, extension: &str) -> Option<&Mailbox> {
        self.mailboxes.iter().find(|mailbox| mailbox.extension == extension)
    }
}

impl Reader<'_> {
    pub(super) fn voicemail(
        &self,
        raw: raw::Voicemail,
        mailboxes: Vec<raw::Mailbox>,
        extensions: &[Extension],
    ) -> Result<Voicemail> {
        let directory = raw.directory.map(|text| self.file(text)).transpose()?;
        if let (None, Some(first)) = (&directory, mailboxes.first()) {
            let error = self.wrong(first.extension.span(), "there is no place for messages");
            return Err(error.hint("`[voicemail]` with `directory = \"DIRECTORY\"` says where they are kept"));
        }
        let silence = self.seconds(raw.silence_seconds, 5, 0..=600)?;
        let least = raw.min_message_seconds.as_ref().map(S::span);
        let shortest = self.real_seconds(raw.min_message_seconds)?.unwrap_or(Duration::from_secs(2));
        let longest = self.seconds(raw.max_message_seconds, 180, 1..=HOUR)?;
        if let Some(span) = least.filter(|_| shortest >= longest) {
            let message = format!("expected less than max_message_seconds: {}", longest.as_secs());
            return Err(self.wrong(span, message));
        }
        Ok(Voicemail {
            directory,
            greeting: raw.greeting.map(|text| self.file(text)).transpose()?,
            longest,
            shortest,
            silence: Some(silence).filter(|silence| !silence.is_zero()),
            messages: self.count(raw.max_messages, 100, 10_000)?,
            total: self.seconds(raw.max_total_seconds, 3_600, 1..=30 * DAY)?,
            unsolicited: raw.unsolicited_notify.is_some_and(S::into_inner),
            mailboxes: self.mailboxes(mailboxes, extensions)?,
        })
    }

    fn mailboxes(&self, raw: Vec<raw::Mailbox>, extensions: &[Extension]) -> Result<Vec<Mailbox>> {
        let numbers = || extensions.iter().map(|extension| extension.number.as_str());
        let mut mailboxes: Vec<Mailbox> = Vec::with_capacity(raw.len());
        for raw in raw {
            let span = raw.extension.span();
            let extension = raw.extension.into_inner();
            if numbers().all(|number| number != extension) {
                let error = self.wrong(span, format!("there is no extension `{extension}`"));
                return Err(error.did_you_mean(&extension, numbers()));
            }
            if mailboxes.iter().any(|other| other.extension == extension) {
                return Err(self.wrong(span, format!("the mailbox of `{extension}` stands twice")));
            }
            mailboxes.push(Mailbox {
                extension,
                pin: raw.pin.map(|pin| self.pin(&pin)).transpose()?,
                greeting: raw.greeting.map(|text| self.file(text)).transpose()?,
            });
        }
        Ok(mailboxes)
    }

    fn pin(&self, text: &S<String>) -> Result<String> {
        let is_one =
            (4..=12).contains(&text.as_ref().len()) && text.as_ref().bytes().all(|b| b.is_ascii_digit());
        match is_one {
            true => Ok(text.as_ref().clone()),
            false => Err(self.wrong(text.span(), "expected a PIN of 4 to 12 digits, in quotes")),
        }
    }
}
