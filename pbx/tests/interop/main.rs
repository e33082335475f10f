//! The built program among telephones and load generators that others have written.
//!
//! Every story has a network of its own (nothing leaves it, no port is ever taken), the programs it needs, and a
//! capture of all that was on the wire, in which tshark may find nothing malformed from the PBX. A story whose
//! programs are not installed says so and passes. Here stand no rules of SIP or RTP of our own: a mistake that we
//! make on both sides would agree with itself.

mod abuse;
mod applications;
mod baresip;
mod calls;
mod capture;
mod ending;
mod holding;
mod keys;
mod load;
mod media;
mod network;
mod process;
mod program;
mod readme;
mod registering;
mod secure;
mod sipp;
mod stage;
mod tone;
mod wsdump;

use std::time::{Duration, Instant};

/// Longer than anything here takes; what has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(20);

#[expect(clippy::disallowed_methods, reason = "a test that waits for ever says nothing")]
fn now() -> Instant {
    Instant::now()
}

/// Lets a real conversation go on: its packets are paced by the clock, so here the clock is what is waited for.
#[expect(clippy::disallowed_methods, reason = "foreign programs talk in real time")]
fn talk(time: Duration) {
    std::thread::sleep(time);
}

/// Asks until it is so; false when it never was.
fn becomes(mut is_so: impl FnMut() -> bool) -> bool {
    let begun = now();
    while begun.elapsed() < PATIENCE {
        if is_so() {
            return true;
        }
        talk(Duration::from_millis(10));
    }
    false
}
