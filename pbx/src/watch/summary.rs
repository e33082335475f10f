//! How many messages wait (RFC 3842 section 5.2).

use super::address_of;
use crate::call::Context;
use crate::dialog::Body;

/// What an extension is told of its mailbox.
pub(super) fn body(number: &str, context: &Context) -> Body {
    let text = text(&address_of(number, context), context.messages_of(number));
    Body { content_type: "application/simple-message-summary".into(), bytes: text.into_bytes() }
}

fn text(account: &str, (new, old): (usize, usize)) -> String {
    let waiting = if new > 0 { "yes" } else { "no" };
    format!(
        "Messages-Waiting: {waiting}\r\nMessage-Account: {account}\r\nVoice-Message: {new}/{old} (0/0)\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_wait_that_nobody_has_heard() {
        assert_eq!(
            text("sip:1001@office.example", (2, 8)),
            "Messages-Waiting: yes\r\nMessage-Account: sip:1001@office.example\r\nVoice-Message: 2/8 (0/0)\r\n"
        );
        assert!(text("sip:1001@office.example", (0, 3)).starts_with("Messages-Waiting: no\r\n"));
    }
}
