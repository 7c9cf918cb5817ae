//! Opens files, decompressing by suffix.

use brisk_base::{Error, ErrorKind, Result, ResultExt};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How the bytes of a file are packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, of one or several members.
    Gzip,
}

impl Compression {
    /// What the end of the name says: `.gz` and `.gzip` are gzip.
    pub fn of(path: &Path) -> Self {
        match path.extension() {
            Some(suffix) if suffix.eq_ignore_ascii_case("gz") || suffix.eq_ignore_ascii_case("gzip") => Self::Gzip,
            _ => Self::None,
        }
    }
}

/// A file to be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileInput {
    path: PathBuf,
    compression: Compression,
}

impl FileInput {
    /// The file at `path`, decompressed if its name says so.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { compression: Compression::of(&path), path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it is packed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// `file 'x.csv'`: how the file is named in errors.
    pub fn place(&self) -> String {
        format!("file '{}'", self.path.display())
    }

    /// The decompressed bytes from `offset` on. In a compressed file everything before them is unpacked and dropped first.
    ///
    /// # Errors
    /// When the file cannot be opened, or ends before `offset`.
    pub fn open_at(&self, offset: u64) -> Result<Box<dyn Read + Send>> {
        self.opened(offset).context(|| self.place())
    }

    fn opened(&self, offset: u64) -> Result<Box<dyn Read + Send>> {
        let mut file = File::open(&self.path).map_err(|error| open_error(&error))?;
        match self.compression {
            Compression::None => {
                file.seek(SeekFrom::Start(offset))?;
                Ok(Box::new(file))
            }
            Compression::Gzip => {
                let mut unpacked = MultiGzDecoder::new(file);
                let skipped = io::copy(&mut (&mut unpacked).take(offset), &mut io::sink())?;
                if skipped < offset {
                    return Err(Error::user(format!(
                        "has only {skipped} bytes unpacked, but was read up to byte {offset} before; has it changed?"
                    )));
                }
                Ok(Box::new(unpacked))
            }
        }
    }
}

fn open_error(error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => ErrorKind::User,
        _ => ErrorKind::Transient,
    };
    Error::new(kind, format!("cannot be opened: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(parts: &[&str]) -> Vec<u8> {
        let member = |part: &&str| {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(part.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        parts.iter().flat_map(member).collect()
    }

    fn read(input: &FileInput, offset: u64) -> String {
        let mut text = String::new();
        input.open_at(offset).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn both_kinds_open_at_an_offset_of_the_unpacked_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let (plain, packed) = (dir.path().join("a.txt"), dir.path().join("a.txt.GZ"));
        std::fs::write(&plain, "to be or not").unwrap();
        std::fs::write(&packed, gzip(&["to be ", "or not"])).unwrap();
        for path in [plain, packed] {
            let input = FileInput::new(path);
            assert_eq!(read(&input, 0), "to be or not");
            assert_eq!(read(&input, 9), "not");
        }
    }

    #[test]
    fn errors_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let error = FileInput::new(dir.path().join("none.txt")).open_at(0).err().unwrap();
        assert!(error.to_string().contains("none.txt': cannot be opened"), "{error}");
        assert_eq!(error.kind(), ErrorKind::User);
        let short = dir.path().join("short.gz");
        std::fs::write(&short, gzip(&["abc"])).unwrap();
        let error = FileInput::new(short).open_at(4).err().unwrap();
        assert!(error.to_string().contains("only 3 bytes"), "{error}");
    }
}
