//! A world as its users see it: what its network does to programs, what machines do in it, what is left of a run.

mod artefacts;
mod faults;
mod machines;
mod network;
mod phones;
mod two_hosts;
mod worlds;
