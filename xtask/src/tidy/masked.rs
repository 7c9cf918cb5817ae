//! Rust source with comments and literals blanked out, so that checks see code only.
//!
//! Not a parser: it knows comments, strings, characters and braces, which is all the checks need. Offsets and lines stay as they are.

/// `text` with every byte of a comment, string or character literal replaced by a space (line breaks stay).
pub(super) fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_or_comment(bytes, at);
        if end == at {
            at += 1;
            continue;
        }
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8(out).expect("whole characters are blanked, and the rest is as it was")
}

/// The end of the comment or literal that starts at `at`; `at` itself if none does.
fn literal_or_comment(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(bytes, at),
        [b'"', ..] => string(bytes, at + 1),
        [b'\'', ..] => character(bytes, at),
        [b'r', ..] if !word_before(bytes, at) => raw_string(bytes, at, at + 1),
        [b'b', b'r', ..] | [b'c', b'r', ..] if !word_before(bytes, at) => raw_string(bytes, at, at + 2),
        _ => at,
    }
}

fn word_before(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
}

fn block_comment(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(bytes.len())
}

/// The end of a string whose contents start at `at`.
fn string(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of a raw string whose hashes would start at `hashes`; `start` if it is none.
fn raw_string(bytes: &[u8], start: usize, hashes: usize) -> usize {
    let count = bytes[hashes..].iter().take_while(|b| **b == b'#').count();
    let open = hashes + count;
    if bytes.get(open) != Some(&b'"') {
        return start;
    }
    let closes = |at: usize| bytes[at] == b'"' && bytes[at + 1..].iter().take_while(|b| **b == b'#').count() >= count;
    (open + 1..bytes.len()).find(|at| closes(*at)).map_or(bytes.len(), |at| at + 1 + count)
}

/// The end of a character literal at `at`; `at` if it is a lifetime.
fn character(bytes: &[u8], at: usize) -> usize {
    match &bytes[at + 1..] {
        [b'\\', _, rest @ ..] => at + 3 + rest.iter().position(|b| *b == b'\'').map_or(0, |p| p + 1),
        [first, ..] => {
            let width = match first {
                0..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            if bytes.get(at + 1 + width) == Some(&b'\'') { at + 2 + width } else { at }
        }
        [] => at,
    }
}

/// A function found in masked source.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    /// Its name.
    pub(super) name: String,
    /// Where the word `fn` stands.
    pub(super) at: usize,
    /// Lines of code between its braces, without blank ones and comments, as clippy counts them.
    pub(super) lines: usize,
}

/// All functions with a body.
pub(super) fn functions(masked: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in masked.match_indices("fn ") {
        if word_before(masked.as_bytes(), at) {
            continue;
        }
        let name: String = masked[at + 3..].trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            continue;
        }
        if let Some(open) = body(masked, at) {
            let inside = &masked[open + 1..closing(masked, open).saturating_sub(1).max(open + 1)];
            let lines = inside.lines().filter(|line| !line.trim().is_empty()).count();
            found.push(Function { name, at, lines });
        }
    }
    found
}

/// The opening brace of the function at `at`; none if it has no body.
fn body(masked: &str, at: usize) -> Option<usize> {
    let mut depth = 0;
    for (offset, byte) in masked[at..].bytes().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(at + offset),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// One past the brace that closes the one at `open`; the end of the text if none does.
pub(super) fn closing(masked: &str, open: usize) -> usize {
    let mut depth = 0;
    for (offset, byte) in masked[open..].bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + offset + 1;
        }
    }
    masked.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_comments_and_literals_only() {
        let text =
            "let a = \"x // {\\\" y\"; // unwrap()\nlet b = '{'; /* { /* } */ */ let l: &'a str = r#\"\"{\"#;\nfor c in ['\\'', 'é'] {}";
        let masked = mask(text);
        assert_eq!(masked.len(), text.len());
        assert_eq!(masked.lines().count(), text.lines().count());
        assert!(!masked.contains("unwrap") && !masked.contains('y'), "{masked}");
        assert!(masked.contains("let l: &'a str"), "{masked}");
        assert_eq!((masked.matches('{').count(), masked.matches('}').count()), (1, 1), "{masked}");
    }

    #[test]
    fn counts_the_lines_of_functions_as_clippy_does() {
        let masked = mask("trait T { fn none(a: [u8; 3]); }\nfn two(x: u8) -> [u8; 2] {\n    let y = x;\n\n    // why\n    [x, y]\n}\n");
        let found: Vec<_> = functions(&masked).into_iter().map(|f| (f.name, f.lines)).collect();
        assert_eq!(found, [("two".to_string(), 2)]);
    }

    #[test]
    fn finds_the_closing_brace() {
        assert_eq!(closing("{ a { b } c } d", 0), 13);
    }
}
