//! A schedule as it is written. Everything that may be wrong knows its place.

use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Schedule {
    pub(super) tolerance_ms: Option<Spanned<f64>>,
    pub(super) level_tolerance_db: Option<Spanned<f64>>,
    pub(super) length_ms: Option<Spanned<f64>>,
    pub(super) rate: Option<Spanned<u32>>,
    pub(super) encoding: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) channel: Vec<Spanned<Channel>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Channel {
    pub(super) name: Option<String>,
    pub(super) noise_dbm0: Option<Spanned<f64>>,
    #[serde(default)]
    pub(super) tones: Vec<Spanned<Tone>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tone {
    pub(super) at_ms: Spanned<f64>,
    pub(super) digits: Option<Spanned<String>>,
    pub(super) frequencies: Option<Spanned<Vec<f64>>>,
    pub(super) cadence: Option<Spanned<String>>,
    pub(super) for_ms: Option<Spanned<f64>>,
    pub(super) pause_ms: Option<Spanned<f64>>,
    pub(super) level_dbm0: Option<Spanned<f64>>,
    pub(super) twist_db: Option<Spanned<f64>>,
    pub(super) off_percent: Option<Spanned<f64>>,
}
