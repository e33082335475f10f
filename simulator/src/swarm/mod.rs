//! Calls that nobody thought of, by the thousand.
//!
//! A [`Case`] is a value: who has a telephone, what the PBX is told, what the weather is, and who does what when. It is
//! drawn from a seed ([`draw`]), each seed with a random part of all behaviours and faults switched off, so that those
//! that are on meet each other. It is played in a world of its own ([`play`](play())): first everything happens, then the
//! faults stop and all must come to rest, and the rules look at what was sent. A case that breaks a rule is reduced
//! ([`shrink`](shrink())) to the smallest that still breaks it.
//!
//! | file | what is in it |
//! |---|---|
//! | `case.rs` | the value, and as a file |
//! | `clients.rs` | applications, and what they ask for |
//! | `draw.rs` | from a seed to a case |
//! | `handovers.rs` | transfers, places that others take, who watches whom |
//! | `play.rs` | from a case to what became of it |
//! | `shrink.rs` | from a case to a smaller one |
//! | `simpler.rs` | what is smaller than a case |

mod case;
mod clients;
mod draw;
mod handovers;
mod play;
mod shrink;
mod simpler;

pub use case::{Action, Answers, Case, CaseError, Client, Deed, Gust, Person, Setting, Way};
pub use draw::{Wishes, draw};
pub use play::{Broken, Run, play, play_and, take_place};
pub use shrink::{Shrunk, shrink};
