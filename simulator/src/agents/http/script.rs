//! A server that follows a table: what is asked there is answered so.

use super::{Answers, Asked, Reply};
use std::collections::VecDeque;

/// Answers by method and path; what is not in the table is 404.
#[derive(Clone, Debug, Default)]
pub struct Script {
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    method: String,
    path: String,
    /// One after the other; the last one stays.
    replies: VecDeque<Reply>,
}

impl Script {
    /// An empty table.
    pub fn new() -> Script {
        Script::default()
    }

    /// What is said next when this is asked; after what was told before.
    pub fn on(mut self, method: &str, path: &str, reply: Reply) -> Script {
        let known = self.lines.iter_mut().find(|line| line.method == method && line.path == path);
        match known {
            Some(line) => line.replies.push_back(reply),
            None => self.lines.push(Line {
                method: method.to_owned(),
                path: path.to_owned(),
                replies: VecDeque::from([reply]),
            }),
        }
        self
    }
}

impl Answers for Script {
    fn answer(&mut self, asked: &Asked) -> Reply {
        let fits = |line: &&mut Line| line.method == asked.method && line.path == asked.path();
        let Some(line) = self.lines.iter_mut().find(fits) else { return Reply::status(404) };
        match line.replies.len() {
            2.. => line.replies.pop_front(),
            _ => line.replies.front().cloned(),
        }
        .unwrap_or_else(|| Reply::status(404))
    }
}
