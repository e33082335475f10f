//! What applications and the PBX say to each other in the scenarios, frame by frame, for the document that shows it.

use crate::play::{Settings, Terms, play_on};
use crate::suite::{Case, cases};
use simulator::agents::websocket::Opcode;
use simulator::office::HTTP_PORT;
use simulator::wire::{Form, messages};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// The stories that are told: one for each row of these.
const ROWS: [&str; 14] = [
    "RWI-01", "RWI-02", "RWI-03", "RWI-04", "RWI-05", "RWI-06", "RWI-07", "RWI-08", "RWI-09", "RWI-10",
    "RWI-11", "RWI-12", "RWI-13", "RWI-14",
];

/// What everything follows from.
const SEED: u64 = 1;

/// All transcripts, in the order of the rows: they are played now.
pub(crate) fn all(root: &Path) -> Result<String, String> {
    let all = cases(&root.join("features"))?;
    let (mut text, mut told) = (String::new(), BTreeSet::new());
    for row in ROWS {
        // A story that shows several rows is told with the first of them.
        let is_its = |case: &&Case| case.has_tag(row) && case.has_tag("real");
        let case = all.iter().find(is_its).ok_or_else(|| format!("no scenario tells {row}"))?;
        if told.insert(case.name.clone()) {
            let _ = write!(text, "\n## {row}: {}\n\n```\n{}```\n", case.scenario.name, conversation(case)?);
        }
    }
    Ok(text)
}

/// Each frame with when it was sent and by whom: `>` is the application's.
fn conversation(case: &Case) -> Result<String, String> {
    let terms = Terms { keeps: true, ..Terms::default() };
    let outcome = play_on(&case.feature, &case.scenario, Settings { seed: SEED, until: None }, terms);
    let world = outcome.snapshot.ok_or_else(|| format!("{}: nothing is kept", case.name))?;
    if let Some(failure) = outcome.failure {
        return Err(format!("{}: {failure:?}", case.name));
    }
    let mut text = String::new();
    for frame in messages(&world.packets).iter().filter(|message| message.form == Form::Frame(Opcode::Text)) {
        let side = if frame.to.port() == HTTP_PORT { '>' } else { '<' };
        let at = frame.sent.as_nanos() as f64 / 1e9;
        let _ = writeln!(text, "{at:7.3} {side} {}", String::from_utf8_lossy(&frame.bytes));
    }
    Ok(text)
}
