//! What may be asked of a suite: what libtest understands, so that `cargo test NAME`, IDEs and nextest find their way, and
//! more.

use super::{Case, cores};
use crate::scene::SEED;
use clap::Parser;
use cucumber::gherkin::tagexpr::TagOperation;
use cucumber::tag::Ext as _;
use std::num::NonZero;
use std::path::PathBuf;

/// The arguments of a suite.
#[derive(Debug, Parser)]
#[command(name = "features", about = "Plays the scenarios of the features", disable_version_flag = true)]
pub struct Arguments {
    /// Only scenarios whose name has one of these in it
    filters: Vec<String>,
    /// The whole name has to be the same
    #[arg(long)]
    exact: bool,
    /// Scenarios to leave out by name
    #[arg(long, value_name = "FILTER")]
    skip: Vec<String>,
    /// Only scenarios with these tags, e.g. "@rtp and not @slow"
    #[arg(long, value_name = "EXPRESSION")]
    tags: Option<TagOperation>,
    /// Name them, play none
    #[arg(long)]
    pub(super) list: bool,
    /// How many are played at a time
    #[arg(long, value_name = "NUMBER")]
    test_threads: Option<NonZero<usize>>,
    /// What everything follows from
    #[arg(long, default_value_t = SEED)]
    pub(super) seed: u64,
    /// Write the results as JUnit's XML
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// Write the results as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Where the artefacts of failed scenarios are kept
    #[arg(long, value_name = "FOLDER", default_value = crate::keep::FOLDER)]
    pub(super) keep: PathBuf,
    /// A letter a scenario
    #[arg(short, long)]
    quiet: bool,
    /// Only the slow ones, which have the tag @slow
    #[arg(long)]
    ignored: bool,
    /// The slow ones too, which have the tag @slow
    #[arg(long)]
    include_ignored: bool,
    /// `pretty` or `terse`; others are as `pretty`
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    #[command(flatten)]
    understood: Understood,
}

/// What libtest knows and has no meaning here.
#[derive(Debug, clap::Args)]
struct Understood {
    #[arg(long, hide = true)]
    nocapture: bool,
    #[arg(long, hide = true)]
    no_capture: bool,
    #[arg(long, hide = true)]
    show_output: bool,
    #[arg(long, hide = true)]
    test: bool,
    #[arg(long, hide = true)]
    bench: bool,
    #[arg(long, hide = true)]
    exclude_should_panic: bool,
    #[arg(long, hide = true)]
    force_run_in_process: bool,
    #[arg(long, hide = true)]
    ensure_time: bool,
    #[arg(long, hide = true)]
    shuffle: bool,
    #[arg(long, hide = true)]
    shuffle_seed: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true)]
    report_time: Option<Option<String>>,
    #[arg(long, hide = true)]
    color: Option<String>,
    #[arg(long, hide = true)]
    logfile: Option<String>,
    #[arg(short = 'Z', hide = true)]
    unstable: Vec<String>,
}

impl Arguments {
    /// Whether a scenario is to be played, or named.
    pub(super) fn want(&self, case: &Case) -> bool {
        // A list has the slow ones too, as those of libtest have what is ignored.
        self.name(case) && (self.include_ignored || (self.list && !self.ignored) || self.is_its_time(case))
    }

    /// Whether a scenario is asked for but left out because it is slow.
    pub(super) fn passes_over(&self, case: &Case) -> bool {
        self.name(case) && !self.want(case)
    }

    pub(super) fn threads(&self) -> NonZero<usize> {
        self.test_threads.unwrap_or_else(cores)
    }

    /// A letter a scenario; a list of names and nothing else.
    pub(super) fn is_terse(&self) -> bool {
        self.quiet || self.format.as_deref() == Some("terse")
    }

    fn name(&self, case: &Case) -> bool {
        let fits = |filter: &String| {
            if self.exact { case.name == *filter } else { case.name.contains(filter.as_str()) }
        };
        let tags = case.feature.tags.iter().chain(&case.scenario.tags);
        (self.filters.is_empty() || self.filters.iter().any(fits))
            && !self.skip.iter().any(fits)
            && self.tags.as_ref().is_none_or(|expression| expression.eval(tags))
    }

    fn is_its_time(&self, case: &Case) -> bool {
        case.has_tag("slow") == self.ignored
    }
}
