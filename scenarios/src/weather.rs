//! Weathers with a name, under which a scenario can be played again: `@net(lossy)`.

use pbx::time::Duration;
use simulator::network::Link;
use std::fmt;

/// What all links do. Each is one that telephony has to live with: calls come about, and those who talk hear each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// 5 % of the packets are lost.
    Lossy,
    /// Packets take up to 40 ms longer.
    Jittery,
    /// 10 % of the packets arrive twice.
    Doubling,
    /// 10 % of the packets are overtaken by later ones.
    Shuffling,
    /// Packets take 150 ms, as over an ocean.
    Far,
}

impl Weather {
    /// All of them.
    pub const ALL: [Weather; 5] =
        [Weather::Lossy, Weather::Jittery, Weather::Doubling, Weather::Shuffling, Weather::Far];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Weather> {
        Weather::ALL.into_iter().find(|weather| weather.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Weather::Lossy => "lossy",
            Weather::Jittery => "jittery",
            Weather::Doubling => "doubling",
            Weather::Shuffling => "shuffling",
            Weather::Far => "far",
        }
    }

    /// What it does to links.
    pub fn link(self) -> Link {
        let calm = Link::default();
        match self {
            Weather::Lossy => Link { loss: 0.05, ..calm },
            Weather::Jittery => Link { jitter: Duration::from_millis(40), ..calm },
            Weather::Doubling => Link { duplicate: 0.1, ..calm },
            Weather::Shuffling => Link { reorder: 0.1, ..calm },
            Weather::Far => Link { latency: Duration::from_millis(150), ..calm },
        }
    }
}

impl fmt::Display for Weather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
