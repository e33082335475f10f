//! What the caller hears when a call comes to nothing: one status from those of all branches (RFC 3261 section 16.7).

use crate::sip::{Response, StatusCode};

/// Who was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee {
    /// A telephone of ours.
    Extension,
    /// Another system.
    Trunk,
}

/// How a branch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// By this final response, 300 to 699.
    Answered(StatusCode),
    /// It rang and rang.
    NoAnswer,
    /// No response at all, or it could not be sent.
    Silence,
}

/// What the caller is told when this was all.
#[expect(unused_variables, clippy::todo, reason = "the contract stands before the code")]
pub fn map_refusal(outcome: Outcome, callee: Callee) -> StatusCode {
    todo!()
}

/// The best of what [`map_refusal`] made of several branches (RFC 3261 section 16.7 step 6); 480 of none.
#[expect(unused_variables, clippy::todo, reason = "the contract stands before the code")]
pub fn best(statuses: &[StatusCode]) -> StatusCode {
    todo!()
}

/// Whether the next target of a trunk is to be tried after this.
#[expect(unused_variables, clippy::todo, reason = "the contract stands before the code")]
pub fn tries_next(outcome: Outcome) -> bool {
    todo!()
}

/// The number a telephone forwards to: the user part of the first Contact of its 301 or 302.
#[expect(unused_variables, clippy::todo, reason = "the contract stands before the code")]
pub fn redirected_to(response: &Response) -> Option<String> {
    todo!()
}
