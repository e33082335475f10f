//! The ways in which telephones misbehave. Each has a name for code and a sentence for people.

use std::collections::BTreeSet;
use std::fmt;

/// A name that no name server knows.
pub(super) const UNKNOWN_NAME: &str = "desk.alice.invalid";

macro_rules! misbehaviours {
    ($first:ident $first_sentence:literal, $($name:ident $sentence:literal),* $(,)?) => {
        /// What a telephone does wrong. `Display` completes "its telephone ...".
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Misbehaviour {
            #[doc = concat!("It ", $first_sentence, ".")] $first,
            $(#[doc = concat!("It ", $sentence, ".")] $name,)*
        }

        impl Misbehaviour {
            /// All there are.
            pub const ALL: &[Misbehaviour] = &[Misbehaviour::$first, $(Misbehaviour::$name,)*];

            /// All sentences, with bars between them.
            pub const SENTENCES: &str = concat!($first_sentence, $("|", $sentence,)*);

            /// What it does, in words.
            pub const fn sentence(self) -> &'static str {
                match self {
                    Misbehaviour::$first => $first_sentence,
                    $(Misbehaviour::$name => $sentence,)*
                }
            }
        }
    };
}

misbehaviours! {
    AnswersTwice "answers twice, as two",
    AnswersAndRefuses "answers and refuses at once",
    AnswersUnasked "answers with a codec that nobody offered",
    AnswersWithNothing "answers without a stream",
    NeverAcknowledges "never acknowledges an answer",
    AcknowledgesOnce "acknowledges a repeated answer only once",
    AcknowledgesWithAWrongNumber "acknowledges with a wrong number",
    AcknowledgesWithAWrongTag "acknowledges with a wrong tag",
    AcknowledgesWithAWrongBranch "acknowledges with another branch",
    HangsUpEarly "hangs up where it should refuse",
    HangsUpBeforeAck "hangs up before its answer is acknowledged",
    CountsDown "counts its requests backwards",
    SkipsNumbers "skips numbers of its requests",
    CountsTooMany "promises more bytes than it sends",
    CountsTooFew "promises fewer bytes than it sends",
    RepeatsAfterTheAnswer "repeats its requests after the answer",
    ChangesItsTag "keeps changing its tag",
    NamesItself "calls itself by a name that nobody can resolve",
    IgnoresCancel "ignores that a caller gives up",
    AnswersOnlyTheCancel "hears that a caller gives up and never ends the call",
    AnswersAfterCancel "answers when a caller gives up",
    NeverAnswersOffers "never answers a change of the call",
    KeepsItsNonce "registers with a nonce that is stale",
    ReplaysItsCount "registers with the same nonce count again",
    ChangesItsStream "changes its stream in mid-call",
    SendsFromElsewhere "sends its voice from another port",
    SendsBeforeTheAnswer "sends its voice before the answer",
    KeepsTalking "keeps talking after the call",
    ClockTooFast "has a clock that runs 1 % too fast",
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

impl std::str::FromStr for Misbehaviour {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Misbehaviour, &'static str> {
        let found = Misbehaviour::ALL.iter().copied().find(|way| way.sentence() == text);
        found.ok_or("nobody misbehaves like that")
    }
}

/// How a telephone misbehaves; usually not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways(BTreeSet<Misbehaviour>);

impl Ways {
    /// It does this too from now on.
    pub fn add(&mut self, way: Misbehaviour) {
        self.0.insert(way);
    }

    /// Whether it does.
    pub fn has(&self, way: Misbehaviour) -> bool {
        self.0.contains(&way)
    }

    /// Whether it is a good citizen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_misbehaviour_is_known_by_its_sentence() {
        for way in Misbehaviour::ALL {
            assert_eq!(way.sentence().parse(), Ok(*way));
        }
        assert!("sings".parse::<Misbehaviour>().is_err());
    }
}
