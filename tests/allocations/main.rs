//! How often memory is asked for; its own program, because the counter is the allocator of all.

mod counting;
mod media;
mod messages;
mod tones;
