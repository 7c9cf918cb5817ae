//! Finds the one file in a form that a client uploads (`multipart/form-data`), piece by piece, without keeping it.
//!
//! No I/O. What is kept between two pieces is at most the headers of a part, which are bounded, or as many bytes as a boundary has.

use memchr::memmem;

/// Bytes of the headers of a part.
const MOST_HEADERS: usize = 16 << 10;

/// Where the reader is.
enum State {
    /// In front of the first boundary.
    Preamble,
    /// In the headers of a part.
    Headers,
    /// In the bytes of the file.
    File,
    /// In the bytes of a part that is no file.
    Other,
    /// Behind the last boundary, or the file.
    Over,
}

/// What is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// The file begins: what it is called.
    File(String),
    /// Bytes of the file.
    Bytes(Vec<u8>),
    /// The file is whole.
    End,
}

/// See the module.
pub(crate) struct Multipart {
    /// `\r\n--boundary`.
    delimiter: Vec<u8>,
    buffer: Vec<u8>,
    state: State,
}

impl Multipart {
    /// Reads a body of this content type; `None` if it is no such form.
    pub(crate) fn of(content_type: &str) -> Option<Self> {
        let (kind, parameters) = content_type.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("boundary="))?;
        let boundary = boundary.trim_matches('"');
        if boundary.is_empty() || boundary.len() > 70 {
            return None;
        }
        // The first boundary need not have a line break in front of it.
        Some(Self { delimiter: format!("\r\n--{boundary}").into_bytes(), buffer: b"\r\n".to_vec(), state: State::Preamble })
    }

    /// Whether the file has come, whole.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Takes a piece of the body.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Result<Vec<Found>, &'static str> {
        self.buffer.extend_from_slice(piece);
        let mut found = Vec::new();
        while self.step(&mut found)? {}
        Ok(found)
    }

    /// False when more is needed.
    fn step(&mut self, found: &mut Vec<Found>) -> Result<bool, &'static str> {
        match self.state {
            State::Over => {
                self.buffer.clear();
                Ok(false)
            }
            State::Headers => self.headers(found),
            State::Preamble | State::File | State::Other => {
                let in_file = matches!(self.state, State::File);
                let at = memmem::find(&self.buffer, &self.delimiter);
                // The beginning of a boundary may be at the end of what is there.
                let end = at.unwrap_or_else(|| self.buffer.len().saturating_sub(self.delimiter.len() - 1));
                if in_file && end > 0 {
                    found.push(Found::Bytes(self.buffer[..end].to_vec()));
                }
                self.buffer.drain(..end + at.map_or(0, |_| self.delimiter.len()));
                if at.is_none() {
                    return Ok(false);
                }
                if in_file {
                    found.push(Found::End);
                    self.state = State::Over;
                } else {
                    self.state = State::Headers;
                }
                Ok(true)
            }
        }
    }

    fn headers(&mut self, found: &mut Vec<Found>) -> Result<bool, &'static str> {
        if self.buffer.starts_with(b"--") {
            return Err("the form has no file");
        }
        let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") else {
            return if self.buffer.len() > MOST_HEADERS { Err("the headers of a part of the form are too long") } else { Ok(false) };
        };
        let headers = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.buffer.drain(..end + 4);
        let name = headers.lines().filter(|line| line.to_ascii_lowercase().starts_with("content-disposition:")).find_map(file_name);
        match name {
            Some(name) => {
                found.push(Found::File(name));
                self.state = State::File;
            }
            None => self.state = State::Other,
        }
        Ok(true)
    }
}

/// The last part of the path in `filename="..."`.
fn file_name(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("filename=\"")?;
    let (name, _) = rest.split_once('"')?;
    Some(name.rsplit(['/', '\\']).next().unwrap_or(name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &[u8] = b"--xyz\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--xyz\r\nContent-Disposition: form-data; \
        name=\"jarfile\"; filename=\"/a/b/my job\"\r\nContent-Type: application/x-java-archive\r\n\r\nbinary\r\n--xy\r\n\0bytes\r\n--xyz--\r\n";

    fn read(form: &[u8], piece: usize) -> Result<(Option<String>, Vec<u8>, bool), &'static str> {
        let mut reader = Multipart::of("multipart/form-data; boundary=\"xyz\"").expect("a form");
        let (mut name, mut bytes) = (None, Vec::new());
        for piece in form.chunks(piece) {
            for found in reader.feed(piece)? {
                match found {
                    Found::File(called) => name = Some(called),
                    Found::Bytes(more) => bytes.extend(more),
                    Found::End => {}
                }
            }
        }
        Ok((name, bytes, reader.is_over()))
    }

    #[test]
    fn the_file_is_found_however_the_body_is_cut() {
        for piece in 1..FORM.len() + 1 {
            let expected = (Some("my job".to_owned()), b"binary\r\n--xy\r\n\0bytes".to_vec(), true);
            assert_eq!(read(FORM, piece), Ok(expected), "pieces of {piece}");
        }
    }

    #[test]
    fn what_is_no_form_or_has_no_file_is_refused() {
        assert!(Multipart::of("application/json").is_none() && Multipart::of("multipart/form-data").is_none());
        assert!(Multipart::of("multipart/form-data; boundary=").is_none());
        assert_eq!(read(b"--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--xyz--\r\n", 5), Err("the form has no file"));
        let endless = [b"--xyz\r\n".as_slice(), &[b'a'; MOST_HEADERS + 10]].concat();
        assert!(read(&endless, 1000).is_err());
        assert_eq!(read(&FORM[..FORM.len() - 12], 7).map(|read| read.2), Ok(false), "it is not whole");
    }
}
