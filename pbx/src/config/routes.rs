//! What a number leads to: routes and their applications.

use super::raw::{self, S};
use super::reader::{Reader, Result};
use super::{Announcement, App, Conference, Extension, Pattern, Queue, Route, Trunk, Voicemail};
use std::ops::Range;

const APPS: [&str; 11] = [
    "extension",
    "trunk",
    "tone",
    "echo",
    "announcement",
    "conference",
    "queue",
    "voicemail",
    "application",
    "router",
    "reject",
];

/// What there is to route to.
pub(super) struct Known<'a> {
    pub(super) extensions: &'a [Extension],
    pub(super) trunks: &'a [Trunk],
    pub(super) queues: &'a [Queue],
    pub(super) voicemail: &'a Voicemail,
    /// Whether there is a place for recordings.
    pub(super) records: bool,
    /// Whether there is a web service to ask.
    pub(super) router: bool,
}

impl Reader<'_> {
    pub(super) fn routes(&self, raw: Vec<raw::Route>, known: &Known<'_>) -> Result<Vec<Route>> {
        let mut routes: Vec<Route> = Vec::with_capacity(raw.len());
        for raw in raw {
            let span = raw.name.span();
            let route = self.route(raw, known)?;
            if routes.iter().any(|other| other.name == route.name) {
                return Err(self.wrong(span, format!("the route `{}` stands twice", route.name)));
            }
            routes.push(route);
        }
        Ok(routes)
    }

    fn route(&self, raw: raw::Route, known: &Known<'_>) -> Result<Route> {
        let to_user =
            Pattern::new(raw.to_user.as_ref()).map_err(|why| self.wrong(raw.to_user.span(), why))?;
        let (span, params) = match raw.app_params {
            Some(params) => (params.span(), params.into_inner()),
            None => (raw.app.span(), raw::AppParams::default()),
        };
        Ok(Route {
            name: self.text(&raw.name, "a name")?,
            to_user,
            from_network: raw.from_network.map(|text| self.network(&text)).transpose()?,
            when: raw.when.map(|when| self.when(when)).transpose()?,
            app: self.app(&raw.app, span, params, known)?,
        })
    }

    fn app(
        &self,
        app: &S<String>,
        span: Range<usize>,
        params: raw::AppParams,
        known: &Known<'_>,
    ) -> Result<App> {
        let name = app.as_ref().as_str();
        if !APPS.contains(&name) {
            let message = format!("unknown app `{name}`, expected one of `{}`", APPS.join("`, `"));
            return Err(self.wrong(app.span(), message).did_you_mean(name, APPS));
        }
        self.only_its_own_params(name, &params)?;
        match name {
            "extension" => self.to_extension(params, known),
            "trunk" => self.to_trunk(span, params, known),
            "tone" => Ok(App::Tone {
                frequency: self.frequency(params.frequency)?,
                duration: self.real_seconds(params.duration_seconds)?,
                answer_delay: match params.answer_delay_ms {
                    Some(delay) => Some(self.millis(Some(delay), 0, 0..=60_000)?),
                    None => None,
                },
            }),
            "announcement" => self.to_announcement(span, params),
            "conference" => self.to_conference(span, params, known),
            "queue" => self.to_queue(span, params, known),
            "voicemail" => self.to_voicemail(app, params, known),
            "application" => Ok(App::Application {
                context: match params.context {
                    Some(name) => self.user(&name)?,
                    None => super::DEFAULT_CONTEXT.to_owned(),
                },
            }),
            "router" if !known.router => {
                let error = self.wrong(app.span(), "there is no web service to ask");
                Err(error.hint("`[router]` with `url = \"https://HOST/PATH\"` says which"))
            }
            "router" => {
                Ok(App::Router { fallback: params.fallback.map(|number| self.user(&number)).transpose()? })
            }
            "reject" => Ok(App::Reject {
                status: self.number(params.status, 403, 400..=699)? as u16,
                reason: params.reason.map(|text| self.text(&text, "a reason phrase")).transpose()?,
            }),
            _ => Ok(App::Echo),
        }
    }

    fn to_extension(&self, params: raw::AppParams, known: &Known<'_>) -> Result<App> {
        let numbers = || known.extensions.iter().map(|extension| extension.number.as_str());
        match params.extension {
            Some(wanted) if numbers().all(|number| number != wanted.as_ref()) => {
                let message = format!("there is no extension `{}`", wanted.as_ref());
                Err(self.wrong(wanted.span(), message).did_you_mean(wanted.as_ref(), numbers()))
            }
            wanted => Ok(App::Extension(wanted.map(S::into_inner))),
        }
    }

    fn to_announcement(&self, span: Range<usize>, params: raw::AppParams) -> Result<App> {
        let Some(file) = params.file else {
            return Err(self.wrong(span, "expected `app_params = { file = \"FILE.wav\" }`"));
        };
        let times = self.number(params.times, 1, 0..=1_000)? as u32;
        Ok(App::Announcement(Announcement {
            file: self.file(file)?,
            times: (times > 0).then_some(times),
            then: params.then.map(|number| self.user(&number)).transpose()?,
            until_key: params.until_key.is_some_and(S::into_inner),
        }))
    }

    fn to_queue(&self, span: Range<usize>, params: raw::AppParams, known: &Known<'_>) -> Result<App> {
        let Some(wanted) = params.queue else {
            return Err(self.wrong(span, "expected `app_params = { queue = \"NAME\" }`"));
        };
        let names = || known.queues.iter().map(|queue| queue.name.as_str());
        match names().any(|name| name == wanted.as_ref()) {
            true => Ok(App::Queue { queue: wanted.into_inner() }),
            false => {
                let message = format!("there is no queue `{}`", wanted.as_ref());
                Err(self.wrong(wanted.span(), message).did_you_mean(wanted.as_ref(), names()))
            }
        }
    }

    fn to_voicemail(&self, app: &S<String>, params: raw::AppParams, known: &Known<'_>) -> Result<App> {
        if known.voicemail.directory.is_none() {
            let error = self.wrong(app.span(), "there is no place for messages");
            return Err(error.hint("`[voicemail]` with `directory = \"DIRECTORY\"` says where they are kept"));
        }
        let owners = || known.voicemail.mailboxes.iter().map(|mailbox| mailbox.extension.as_str());
        match params.mailbox {
            Some(wanted) if owners().all(|owner| owner != wanted.as_ref()) => {
                let message = format!("there is no mailbox `{}`", wanted.as_ref());
                Err(self.wrong(wanted.span(), message).did_you_mean(wanted.as_ref(), owners()))
            }
            wanted => Ok(App::Voicemail { mailbox: wanted.map(S::into_inner) }),
        }
    }

    fn to_conference(&self, span: Range<usize>, params: raw::AppParams, known: &Known<'_>) -> Result<App> {
        let Some(name) = params.name else {
            return Err(self.wrong(span, "expected `app_params = { name = \"NAME\" }`"));
        };
        let numbers = |list: S<Vec<S<String>>>| list.into_inner().iter().map(|n| self.user(n)).collect();
        Ok(App::Conference(Conference {
            name: self.user(&name)?,
            heard_by: params.heard_by.map(numbers).transpose()?,
            volume: self.volume(params.volume_db)?,
            record: self.records(params.record, known.records)?,
        }))
    }

    fn to_trunk(&self, span: Range<usize>, params: raw::AppParams, known: &Known<'_>) -> Result<App> {
        let wanted = params.trunks.map(S::into_inner).unwrap_or_default();
        if wanted.is_empty() {
            return Err(self.wrong(span, "expected `app_params = { trunks = [\"NAME\", ...] }`"));
        }
        let names = || known.trunks.iter().map(|trunk| trunk.name.as_str());
        if let Some(unknown) = wanted.iter().find(|wanted| names().all(|name| name != wanted.as_ref())) {
            let message = format!("there is no trunk `{}`", unknown.as_ref());
            return Err(self.wrong(unknown.span(), message).did_you_mean(unknown.as_ref(), names()));
        }
        Ok(App::Trunk {
            trunks: wanted.into_iter().map(S::into_inner).collect(),
            strip: self.number(params.strip, 0, 0..=64)? as usize,
            prefix: params.prefix.map(|prefix| self.user(&prefix)).transpose()?.unwrap_or_default(),
        })
    }

    fn only_its_own_params(&self, app: &str, params: &raw::AppParams) -> Result<()> {
        let given = [
            ("extension", "extension", params.extension.as_ref().map(S::span)),
            ("router", "fallback", params.fallback.as_ref().map(S::span)),
            ("trunk", "trunks", params.trunks.as_ref().map(S::span)),
            ("trunk", "strip", params.strip.as_ref().map(S::span)),
            ("trunk", "prefix", params.prefix.as_ref().map(S::span)),
            ("tone", "frequency", params.frequency.as_ref().map(S::span)),
            ("tone", "duration_seconds", params.duration_seconds.as_ref().map(S::span)),
            ("tone", "answer_delay_ms", params.answer_delay_ms.as_ref().map(S::span)),
            ("announcement", "file", params.file.as_ref().map(S::span)),
            ("announcement", "times", params.times.as_ref().map(S::span)),
            ("announcement", "then", params.then.as_ref().map(S::span)),
            ("announcement", "until_key", params.until_key.as_ref().map(S::span)),
            ("queue", "queue", params.queue.as_ref().map(S::span)),
            ("voicemail", "mailbox", params.mailbox.as_ref().map(S::span)),
            ("application", "context", params.context.as_ref().map(S::span)),
            ("conference", "name", params.name.as_ref().map(S::span)),
            ("conference", "heard_by", params.heard_by.as_ref().map(S::span)),
            ("conference", "volume_db", params.volume_db.as_ref().map(S::span)),
            ("conference", "record", params.record.as_ref().map(S::span)),
            ("reject", "status", params.status.as_ref().map(S::span)),
            ("reject", "reason", params.reason.as_ref().map(S::span)),
        ];
        for (of, name, span) in given {
            if let Some(span) = span.filter(|_| of != app) {
                return Err(self.wrong(span, format!("`{name}` belongs to the app `{of}`, not `{app}`")));
            }
        }
        Ok(())
    }
}
