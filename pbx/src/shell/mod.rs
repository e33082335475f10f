//! (to come)

pub mod media_loop;
mod media_socket;
