//! The library of sentences, looked at from outside; one program, for each takes seconds to link.

mod dictionary;
mod documents;
mod report;
mod runner;
mod words;
