//! Events for whoever has asked to be told by HTTP: one POST each, in order, tried again for a while when it fails.
//!
//! It is a task with a bounded queue of its own: a server that is slow or gone holds nobody up, and costs events that find
//! no room any more, which are counted.

use super::host::Host;
use super::timer;
use super::web_client::{Question, WebClient};
use crate::config::Webhook;
use crate::time::Duration;
use tokio::sync::mpsc;

/// Events that wait to be sent.
const QUEUE: usize = 1_024;
/// How often an event is tried.
const ATTEMPTS: u32 = 4;
/// How long the second attempt waits; the next ones twice as long each.
const PAUSE: Duration = Duration::from_secs(1);

/// The driver's end.
pub(super) struct Hook {
    events: mpsc::Sender<Post>,
    lost: u64,
}

struct Post {
    to: Webhook,
    text: String,
}

impl Hook {
    /// Begins the task that sends.
    pub(super) fn start<H: Host>(host: &H, client: WebClient<H>) -> Hook {
        let (events, posts) = mpsc::channel(QUEUE);
        host.spawn(post_all(client, posts));
        Hook { events, lost: 0 }
    }

    /// Another event. Where it goes is taken from the configuration that holds now.
    pub(super) fn post(&mut self, to: Webhook, text: String) {
        if self.events.try_send(Post { to, text }).is_err() {
            self.lost += 1;
            if self.lost.is_power_of_two() {
                tracing::warn!(lost = self.lost, "the webhook does not keep up: events are lost");
            }
        }
    }
}

async fn post_all<H: Host>(client: WebClient<H>, mut posts: mpsc::Receiver<Post>) {
    while let Some(Post { to, text }) = posts.recv().await {
        let mut pause = PAUSE;
        for attempt in 1..=ATTEMPTS {
            let question = Question { url: &to.url, headers: &to.headers, text: &text };
            let sent = timer::timeout(to.timeout, client.post(question)).await;
            let why = match sent {
                Ok(Ok(_)) => break,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "there is no answer in time".to_owned(),
            };
            if attempt == ATTEMPTS {
                tracing::warn!(url = %to.url, %why, "an event could not be sent");
                break;
            }
            timer::sleep(pause).await;
            pause *= 2;
        }
    }
}
