//! Sentences over the simulator, and what plays features written in them.
//!
//! A sentence is one line of meaning: what it does is a verb of the simulator. Each scenario is played in a world of its
//! own, in which everything follows from a seed; when it fails, the sentences up to there and the ladder are its story.
//!
//! | room | what is in it |
//! |---|---|
//! | [`scene`] | the world of one scenario, as sentences see it |
//! | [`words`] | what stands in braces in a sentence: people, times, tones, statuses |
//! | `steps/` | the sentences, a file a subject |
//! | [`dictionary`] | all sentences, and the nearest to one that is unknown |
//! | [`documents`] | the parts of documents that follow from the code |
//! | [`play`] | one scenario, one seed, one outcome |
//! | [`weather`] | weathers with a name, under which a scenario can be played again |
//! | [`stopwatch`], [`terminal`] | how long people wait, and what their terminal shows |
//! | [`report`] | the story of a failure |
//! | [`ground`] | which network carries the packets of a suite |
//! | [`swarm`], [`retell`] | cases that nobody thought of, by the thousand; one of them in sentences |
//! | [`keep`], [`results`] | what is left of a run, as files; how runs came out, for machines |
//! | [`suite`] | all features over all cores, as `cargo test` wants it |

pub mod desk;
pub mod dictionary;
pub mod documents;
pub mod ground;
pub mod keep;
pub mod play;
pub mod report;
pub mod results;
pub mod retell;
pub mod scene;
mod steps;
pub mod stopwatch;
pub mod suite;
pub mod swarm;
pub mod terminal;
mod transcripts;
pub mod weather;
pub mod words;
