//! From a case that breaks a rule to the smallest that still breaks it.
//!
//! First what is drawn becomes what is written: the weather is replaced by the faults it made, which is the same run.
//! Then one thing after the other is taken away or made simpler (`simpler.rs`), and stays away when the rule is still broken;
//! over and over until nothing can go, or the budget is spent. There is no chance in it: one case always shrinks to one case.

use super::case::Case;
use super::play::{Run, play};
use super::simpler::{Cut, without_weather};

/// What has become of a case.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest that was found.
    pub case: Case,
    /// What becomes of it.
    pub run: Run,
    /// How many cases were played to find it.
    pub tries: usize,
}

/// The smallest case that still breaks `rule`, found within `budget` runs. `None`: this one does not break it.
pub fn shrink(case: &Case, rule: &str, budget: usize) -> Option<Shrunk> {
    let mut search = Search { rule, tries: 0, budget };
    let run = search.run(case)?;
    let mut best = (case.clone(), run);
    search
        .reduce(&mut best, &[Cut::Clients, Cut::People, Cut::Actions, Cut::Weather, Cut::Office, Cut::Whims]);
    if let Some(explicit) = without_weather(&best.0, &best.1)
        && let Some(run) = search.run(&explicit)
    {
        best = (explicit, run);
    }
    search.reduce(&mut best, &Cut::ALL);
    let (case, run) = best;
    Some(Shrunk { case, run, tries: search.tries })
}

struct Search<'a> {
    rule: &'a str,
    tries: usize,
    budget: usize,
}

impl Search<'_> {
    /// Plays a case, if there is budget left; what became of it, if it breaks the rule.
    fn run(&mut self, case: &Case) -> Option<Run> {
        if self.tries >= self.budget {
            return None;
        }
        self.tries += 1;
        play(case).ok().filter(|run| run.breaks(self.rule))
    }

    /// Cuts in the order given, again and again, until a whole round changes nothing.
    fn reduce(&mut self, best: &mut (Case, Run), cuts: &[Cut]) {
        loop {
            let before = best.0.clone();
            for cut in cuts {
                self.cut(best, *cut);
            }
            if best.0 == before || self.tries >= self.budget {
                return;
            }
        }
    }

    /// Delta debugging: first half of the parts, then a quarter, ..., at last one at a time.
    fn cut(&mut self, best: &mut (Case, Run), cut: Cut) {
        let mut size = cut.parts(&best.0).div_ceil(2).max(1);
        loop {
            let mut from = 0;
            while from < cut.parts(&best.0) {
                let tried = cut.without(&best.0, from, size).into_iter().find_map(|smaller| {
                    let run = self.run(&smaller)?;
                    Some((smaller, run))
                });
                match tried {
                    // What came behind has moved here.
                    Some(smaller) => {
                        *best = smaller;
                        if !cut.removes() {
                            from += size;
                        }
                    }
                    None => from += size,
                }
            }
            if size == 1 {
                return;
            }
            size = if cut.removes() { size.div_ceil(2) } else { 1 };
        }
    }
}
