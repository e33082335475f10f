//! One law of G.711 as the other (tables 3 and 4 of the recommendation), in arithmetic: a processor does sixteen codes of it at a
//! time, where a table is looked up one by one. The tables are the test.

/// The code of µ-law that sounds like this one of A-law. Both count levels upwards; where the steps of one law are wider by half,
/// two levels of the other fall together.
#[inline(always)]
pub(super) fn mu_of_a(code: u8) -> u8 {
    let level = (code ^ 0x55) & 0x7f;
    let above = |first: u8, count: u8| level.saturating_sub(first).min(count);
    let half = |levels: u8| (levels + 1) >> 1;
    let fall = 7u8.saturating_sub(level)
        + half(above(24, 8))
        + half(above(44, 4))
        + half(above(62, 2))
        + above(78, 1);
    (code & 0x80) | (level + 8 - fall) ^ 0x7f
}

/// The code of A-law that sounds like this one of µ-law.
#[inline(always)]
pub(super) fn a_of_mu(code: u8) -> u8 {
    let level = (code ^ 0x7f) & 0x7f;
    let above = |first: u8, count: u8| level.saturating_sub(first).min(count);
    let rise = above(32, 4) + above(47, 2) + above(63, 1) + above(79, 1);
    (code & 0x80) | (level - ((level.min(16) + 1) >> 1) + rise) ^ 0x55
}

#[cfg(test)]
mod tests {
    use super::*;
    use audio_codec_algorithms::{convert_alaw_to_ulaw, convert_ulaw_to_alaw};

    #[test]
    fn every_code_becomes_what_the_tables_say() {
        for code in 0..=255 {
            assert_eq!(mu_of_a(code), convert_alaw_to_ulaw(code), "A-law {code:#x}");
            assert_eq!(a_of_mu(code), convert_ulaw_to_alaw(code), "µ-law {code:#x}");
        }
    }
}
