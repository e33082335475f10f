//! What documents say of sentences and scenarios is what the code and the features say.

use scenarios::documents::{DOCUMENTS, current};
use std::fs;
use std::path::Path;

#[test]
fn documents_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for document in DOCUMENTS {
        let text = fs::read_to_string(root.join(document)).expect("the document is there");
        let current = current(root, document).unwrap_or_else(|why| panic!("{document}: {why}"));
        let differs = text.lines().zip(current.lines()).find(|(is, is_to_be)| is != is_to_be);
        assert!(
            text == current,
            "{document} is not current, first at {differs:?}; this writes it: cargo run --bin simulate -- document"
        );
    }
}
