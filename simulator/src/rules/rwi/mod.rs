//! What applications and the PBX say to each other over WebSockets, and what comes of it for those who talk.
//!
//! All of it is read from the wire: frames, SIP, sound. Which call is which dialog is said by the call records.
//!
//! | file | rules |
//! |---|---|
//! | `talk.rs` | connections and what was said over them |
//! | `view.rs` | what one session was told, and what it may have missed |
//! | `scene.rs` | who is heard by whom in a moment |
//! | `life.rs` | A3 |
//! | `answer.rs` | A4 |
//! | `resume.rs` | A6 |
//! | `hearing.rs` | A5, A23 |
//! | `queue.rs` | A22 |

mod answer;
mod hearing;
mod life;
mod queue;
mod resume;
mod scene;
mod talk;
mod view;

pub(super) use talk::Talks;

use super::Rule;

pub(super) const RULES: &[&[Rule]] =
    &[life::RULES, answer::RULES, resume::RULES, hearing::RULES, queue::RULES];
