//! An error as Flink's clients read it: an object of its class `SerializedThrowable` in the format of Java's serialization, in Base64.
//!
//! Those clients look at nothing else when an operation has failed; without such an object they take it for done, or wait for ever. The
//! format is that of the Java Object Serialization Specification, version 5. No I/O.

/// Begins each stream: magic number and version.
const BEGIN: [u8; 4] = [0xAC, 0xED, 0x00, 0x05];

const NULL: u8 = 0x70;
const CLASS: u8 = 0x72;
const OBJECT: u8 = 0x73;
const STRING: u8 = 0x74;
const END_OF_BLOCK: u8 = 0x78;
const LONG_STRING: u8 = 0x7C;

/// An object of the class can be serialized, and writes its fields by itself.
const SERIALIZABLE: u8 = 2;
const WRITES_FIELDS: u8 = 1;

const TEXT: &str = "Ljava/lang/String;";

/// Alphabet of Base64 (RFC 4648).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The object of an error of this class, with this message, whose stack trace is `trace`.
pub(crate) fn serialized(class: &str, message: &str, trace: &str) -> String {
    let mut out = BEGIN.to_vec();
    out.push(OBJECT);
    let fields = [(b'L', "fullStringifiedStackTrace", TEXT), (b'L', "originalErrorClassName", TEXT), (b'[', "serializedException", "[B")];
    put_class(&mut out, "org.apache.flink.util.SerializedThrowable", 7_284_183_123_441_947_635, SERIALIZABLE, &fields);
    put_class(&mut out, "java.lang.Exception", -3_387_516_993_124_229_948, SERIALIZABLE, &[]);
    let fields = [
        (b'L', "cause", "Ljava/lang/Throwable;"),
        (b'L', "detailMessage", TEXT),
        (b'[', "stackTrace", "[Ljava/lang/StackTraceElement;"),
        (b'L', "suppressedExceptions", "Ljava/util/List;"),
    ];
    put_class(&mut out, "java.lang.Throwable", -3_042_686_055_658_047_285, SERIALIZABLE | WRITES_FIELDS, &fields);
    // There is no class above.
    out.push(NULL);
    // Fields of Throwable, then those of SerializedThrowable.
    out.push(NULL);
    put_string(&mut out, message);
    out.extend([NULL, NULL, END_OF_BLOCK]);
    put_string(&mut out, trace);
    put_string(&mut out, class);
    out.push(NULL);
    base64(&out)
}

fn put_class(out: &mut Vec<u8>, name: &str, version: i64, flags: u8, fields: &[(u8, &str, &str)]) {
    out.push(CLASS);
    put_short(out, &modified_utf8(name));
    out.extend(version.to_be_bytes());
    out.push(flags);
    out.extend((fields.len() as u16).to_be_bytes());
    for (kind, name, class) in fields {
        out.push(*kind);
        put_short(out, &modified_utf8(name));
        put_string(out, class);
    }
    out.push(END_OF_BLOCK);
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    let bytes = modified_utf8(text);
    if bytes.len() <= usize::from(u16::MAX) {
        out.push(STRING);
        put_short(out, &bytes);
    } else {
        out.push(LONG_STRING);
        out.extend((bytes.len() as u64).to_be_bytes());
        out.extend(bytes);
    }
}

/// Names are constants here, and short.
fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u16).to_be_bytes());
    out.extend(bytes);
}

/// Java's UTF-8: zero has two bytes, and what is beyond 16 bits is written as two halves of three bytes.
fn modified_utf8(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for unit in text.encode_utf16() {
        let low = 0x80 | (unit & 0x3F) as u8;
        match unit {
            1..0x80 => out.push(unit as u8),
            0 | 0x80..0x800 => out.extend([0xC0 | (unit >> 6) as u8, low]),
            _ => out.extend([0xE0 | (unit >> 12) as u8, 0x80 | ((unit >> 6) & 0x3F) as u8, low]),
        }
    }
    out
}

fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let six = (bits >> (18 - 6 * at)) & 0x3F;
            out.push(if at <= chunk.len() { char::from(ALPHABET[six as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        let pairs = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        pairs.iter().for_each(|(plain, encoded)| assert_eq!(base64(plain.as_bytes()), *encoded));
    }

    #[test]
    fn texts_are_written_as_java_does() {
        assert_eq!(modified_utf8("a\0\u{e9}\u{20ac}"), [0x61, 0xC0, 0x80, 0xC3, 0xA9, 0xE2, 0x82, 0xAC]);
        assert_eq!(modified_utf8("\u{1F980}"), [0xED, 0xA0, 0xBE, 0xED, 0xB6, 0x80]);
    }

    /// What a Java program reads as class `brisk.Error`, message `why`, trace `where`.
    #[test]
    fn the_object_is_what_java_reads() {
        assert_eq!(serialized("brisk.Error", "why", "where"), include_str!("throwable.golden").trim());
        let long = serialized("brisk.Error", &"x".repeat(70_000), "");
        assert!(long.len() > 70_000 * 4 / 3, "longer texts have a length of eight bytes");
    }
}
