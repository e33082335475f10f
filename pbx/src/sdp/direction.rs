//! Who sends and who receives (RFC 3264 sections 5.1 and 6.1).

use super::Direction;

impl Direction {
    /// The one that sends and receives as told.
    pub const fn of(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// Whether the writer sends.
    pub const fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether the writer receives.
    pub const fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// The same, seen from the other side.
    pub const fn reversed(self) -> Direction {
        Direction::of(self.receives(), self.sends())
    }

    /// What is left of this wish when the other side does what it says: one can send only what the other receives.
    pub const fn limited_by(self, theirs: Direction) -> Direction {
        Direction::of(self.sends() && theirs.receives(), self.receives() && theirs.sends())
    }

    /// The attribute: `sendrecv`, `sendonly`, ...
    pub const fn attribute(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// The direction of an attribute, without case.
    pub fn of_attribute(name: &str) -> Option<Direction> {
        [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive]
            .into_iter()
            .find(|direction| direction.attribute().eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::Direction::{self, Inactive, RecvOnly, SendOnly, SendRecv};

    #[test]
    fn an_answer_is_what_the_offer_allows() {
        let answers = |offered: Direction| {
            [SendRecv, SendOnly, RecvOnly, Inactive].map(|wanted| wanted.limited_by(offered))
        };
        assert_eq!(answers(SendRecv), [SendRecv, SendOnly, RecvOnly, Inactive]);
        assert_eq!(answers(SendOnly), [RecvOnly, Inactive, RecvOnly, Inactive]);
        assert_eq!(answers(RecvOnly), [SendOnly, SendOnly, Inactive, Inactive]);
        assert_eq!(answers(Inactive), [Inactive; 4]);
    }
}
