//! Which of what was heard is which of what was expected, in order.

/// One of two rows, or a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// These two belong together.
    Both(usize, usize),
    /// This was expected and not heard.
    Expected(usize),
    /// This was heard and not expected.
    Heard(usize),
}

/// Where the way goes on from a place.
#[derive(Clone, Copy)]
enum Way {
    Both,
    Expected,
    Heard,
    End,
}

/// What one costs that has no partner.
const ALONE: f32 = 1.0;

/// The way of least cost through both rows; `cost` of two that cannot belong together is `None`.
pub(super) fn align(expected: usize, heard: usize, cost: impl Fn(usize, usize) -> Option<f32>) -> Vec<Step> {
    let width = heard + 1;
    let mut least = vec![0.0f32; (expected + 1) * width];
    // Two bits would do; a byte each is small enough for an hour of keys.
    let mut steps = vec![Way::End; (expected + 1) * width];
    for one in (0..=expected).rev() {
        for other in (0..=heard).rev() {
            let mut best: Option<(f32, Way)> = None;
            let mut offer = |cost: f32, step| {
                if best.is_none_or(|(least, _)| cost < least) {
                    best = Some((cost, step));
                }
            };
            if one < expected
                && other < heard
                && let Some(cost) = cost(one, other)
            {
                offer(cost + least[(one + 1) * width + other + 1], Way::Both);
            }
            if one < expected {
                offer(ALONE + least[(one + 1) * width + other], Way::Expected);
            }
            if other < heard {
                offer(ALONE + least[one * width + other + 1], Way::Heard);
            }
            if let Some((cost, step)) = best {
                least[one * width + other] = cost;
                steps[one * width + other] = step;
            }
        }
    }
    let (mut way, mut one, mut other) = (Vec::new(), 0, 0);
    loop {
        match steps[one * width + other] {
            Way::Both => {
                way.push(Step::Both(one, other));
                (one, other) = (one + 1, other + 1);
            }
            Way::Expected => {
                way.push(Step::Expected(one));
                one += 1;
            }
            Way::Heard => {
                way.push(Step::Heard(other));
                other += 1;
            }
            Way::End => return way,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_missing_moves_no_other() {
        let (expected, heard) = ([1, 2, 3, 4], [1, 3, 4, 4]);
        let way = align(4, 4, |one, other| (expected[one] == heard[other]).then_some(0.0));
        assert_eq!(
            way,
            [Step::Both(0, 0), Step::Expected(1), Step::Both(2, 1), Step::Both(3, 2), Step::Heard(3)]
        );
    }

    #[test]
    fn nothing_has_no_partner() {
        assert_eq!(align(0, 0, |_, _| Some(0.0)), []);
        assert_eq!(align(1, 0, |_, _| Some(0.0)), [Step::Expected(0)]);
        assert_eq!(align(0, 1, |_, _| Some(0.0)), [Step::Heard(0)]);
    }
}
