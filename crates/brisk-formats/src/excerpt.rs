//! Shortened pieces of input for error messages.

/// Characters of input that an error shows.
const SHOWN: usize = 80;

/// The beginning of `text` in quotes, with control characters escaped, for error messages.
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}... ({} bytes)", &text[..end], text.len()),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn long_input_is_cut_between_characters() {
        assert_eq!(excerpt("a\tb"), "\"a\\tb\"");
        let shown = excerpt(&"ä".repeat(100));
        assert_eq!(shown, format!("\"{}\"... (200 bytes)", "ä".repeat(80)));
    }
}
