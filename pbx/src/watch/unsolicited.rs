//! Telephones that are told of messages without having asked (as RFC 3842 section 4.1 allows it, and older ones expect it).

use super::{address_of, summary};
use crate::call::Context;
use crate::dialog::Outgoing;
use crate::sip::{Method, Name};

/// Tells all telephones of an extension how many messages wait for it, where the configuration wants that.
pub(super) fn tell(number: &str, context: &mut Context) {
    let voicemail = &context.config.voicemail;
    if !voicemail.unsolicited || voicemail.mailbox(number).is_none() {
        return;
    }
    let (own, body) = (address_of(number, context), summary::body(number, context));
    let contacts: Vec<_> = context.registrar.contacts(number, context.now).into_iter().cloned().collect();
    for binding in contacts {
        let route = binding.route.iter().map(|route| (Name::Route.as_str().to_owned(), route.clone()));
        let mut headers = vec![
            ("Event".to_owned(), "message-summary".to_owned()),
            ("Subscription-State".to_owned(), "active".to_owned()),
        ];
        headers.extend(route);
        let notify = Outgoing {
            method: Method::Notify,
            uri: binding.request_uri().to_owned(),
            to: format!("<{own}>"),
            from: format!("<{own}>"),
            path: binding.target,
            headers,
            body: Some(body.clone()),
            credentials: None,
        };
        // Whatever is answered, it will be told of the next message.
        let _ = context.agent.request(notify, context.now);
    }
}
