//! Points at which a simulated world may make this program's life harder than it is, or plant a bug to see that it is found.
//!
//! `buggify!("the disk is slow")` is `false` in every program that is for real: what it asks is only there with the feature
//! `buggify`, which the simulator's swarm is built with and nothing else. Where it is there, it is still `false` unless
//! the host that the task at work belongs to has such [`Whims`]; telephones in the same world have none.

/// Whether this happens here and now.
#[cfg(feature = "buggify")]
macro_rules! buggify {
    ($name:literal) => {
        $crate::buggify::happens($name)
    };
}

/// Whether this happens here and now: never, in a program that is for real.
#[cfg(not(feature = "buggify"))]
macro_rules! buggify {
    ($name:literal) => {
        false
    };
}

pub(crate) use buggify;

#[cfg(feature = "buggify")]
pub use whims::{Whims, happens, within};

/// What may make life harder. A PBX has to live with it, and no rule is broken by it.
pub const HARDSHIPS: [&str; 5] = [
    "the disk is slow",
    "the disk refuses",
    "a port is taken by others",
    "a message is written in pieces",
    "the queue of a connection is short",
];

/// Bugs that can be planted, to see whether anybody finds them.
pub const BUGS: [&str; 10] = [
    "the ACK to a repeated 200 is forgotten",
    "a 200 that crosses CANCEL leaves the call up",
    "a port is not given back",
    "a 200 is repeated after its ACK",
    "a second BYE gets no answer",
    "a call is recorded twice",
    "a supervisor who listens is heard",
    "a queue serves who came last",
    "calls that are parked go on hearing each other",
    "an answer is forgotten",
];

#[cfg(feature = "buggify")]
mod whims {
    use super::{BUGS, HARDSHIPS};
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A hardship happens once in so many times it is asked for.
    const ONCE_IN: u64 = 4;

    /// What happens to the program on one host, drawn from a seed.
    #[derive(Debug)]
    pub struct Whims {
        names: BTreeSet<&'static str>,
        seed: u64,
        /// How often anything was asked for. One thread asks; it is atomic so that a host may be sent to that thread.
        asked: AtomicU64,
    }

    impl Whims {
        /// These happen: a hardship now and then, a planted bug always. `Err`: nobody knows this name.
        pub fn new(names: impl IntoIterator<Item = impl AsRef<str>>, seed: u64) -> Result<Whims, String> {
            let known = |name: &str| HARDSHIPS.iter().chain(&BUGS).copied().find(|known| *known == name);
            let names = names.into_iter().map(|name| known(name.as_ref()).ok_or(name.as_ref().to_owned()));
            Ok(Whims { names: names.collect::<Result<_, _>>()?, seed, asked: AtomicU64::new(0) })
        }

        fn happens(&self, name: &str) -> bool {
            if !self.names.contains(name) {
                return false;
            }
            if BUGS.contains(&name) {
                return true;
            }
            let asked = self.asked.fetch_add(1, Ordering::Relaxed);
            mix(self.seed ^ mix(asked)).is_multiple_of(ONCE_IN)
        }
    }

    thread_local! {
        /// The whims of the host whose task is at work on this thread.
        static AT_WORK: RefCell<Option<Arc<Whims>>> = const { RefCell::new(None) };
    }

    /// Acts as a task of a host with these whims.
    pub fn within<T>(whims: &Arc<Whims>, act: impl FnOnce() -> T) -> T {
        let before = AT_WORK.replace(Some(whims.clone()));
        let _after = Restored(before);
        act()
    }

    /// Whether this happens here and now.
    pub fn happens(name: &str) -> bool {
        AT_WORK.with_borrow(|whims| whims.as_ref().is_some_and(|whims| whims.happens(name)))
    }

    /// Whoever was at work before is again, after a panic too.
    struct Restored(Option<Arc<Whims>>);

    impl Drop for Restored {
        fn drop(&mut self) {
            AT_WORK.set(self.0.take());
        }
    }

    /// The finisher of SplitMix64.
    const fn mix(bits: u64) -> u64 {
        let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn nothing_happens_outside_and_bugs_always_within() {
            let whims = Arc::new(Whims::new(["a call is recorded twice"], 1).expect("a known name"));
            let recorded_twice = || happens("a call is recorded twice");
            assert!(!recorded_twice());
            assert!(within(&whims, || recorded_twice() && recorded_twice()));
            assert!(!within(&whims, || happens("a port is not given back")));
            assert!(!recorded_twice());
        }

        #[test]
        fn hardships_happen_now_and_then_and_alike_for_one_seed() {
            let draw = |seed| {
                let whims = Arc::new(Whims::new(["the disk is slow"], seed).expect("a known name"));
                within(&whims, || (0..100).map(|_| happens("the disk is slow")).collect::<Vec<_>>())
            };
            let count = draw(1).iter().filter(|happened| **happened).count();
            assert!((10..50).contains(&count), "{count} of 100");
            assert_eq!(draw(1), draw(1));
            assert_ne!(draw(1), draw(2));
        }

        #[test]
        fn a_name_nobody_knows_is_told() {
            assert_eq!(Whims::new(["the moon"], 1).map(|_| ()), Err("the moon".to_owned()));
        }
    }
}
