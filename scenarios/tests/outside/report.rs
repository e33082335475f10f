//! What is told of a failure.

use scenarios::report::write_wrapped;
use simulator::ladder::Style;

#[test]
fn long_lines_are_wrapped_and_short_ones_are_not() {
    let wrapped = |text: &str| {
        let mut out = String::new();
        write_wrapped(&mut out, text, "  ", Style { width: 20, ..Style::default() });
        out
    };
    assert_eq!(wrapped("  And one"), "    And one\n");
    assert_eq!(wrapped("one two three four five"), "  one two three four\n      five\n");
    assert_eq!(wrapped(&"x".repeat(30)), format!("  {}\n", "x".repeat(30)));
}
