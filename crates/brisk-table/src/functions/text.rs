//! Functions of text, one row at a time.

use super::row::Kind::{Bigint, Binary, Double, Text};
use super::row::{Row, RowFunction, world};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use brisk_base::{Error, Result};
use sha2::Digest;

/// Longest text that a function may make of shorter ones.
const LONGEST: usize = 64 << 20;

pub(super) fn all() -> Vec<RowFunction> {
    let mut functions = plain();
    functions.extend(searching());
    functions.extend(regular_expressions());
    functions.extend(encodings());
    functions
}

fn plain() -> Vec<RowFunction> {
    vec![
        RowFunction::text("trim(text [, characters])", &[Text, Text], |row| Some(trimmed(row, true, true))).optional(1),
        RowFunction::text("btrim(text [, characters])", &[Text, Text], |row| Some(trimmed(row, true, true))).optional(1),
        RowFunction::text("ltrim(text [, characters])", &[Text, Text], |row| Some(trimmed(row, true, false))).optional(1),
        RowFunction::text("rtrim(text [, characters])", &[Text, Text], |row| Some(trimmed(row, false, true))).optional(1),
        RowFunction::text("substring(text, from [, length])", &[Text, Bigint, Bigint], substring).optional(1),
        RowFunction::text("substr(text, from [, length])", &[Text, Bigint, Bigint], substring).optional(1),
        RowFunction::text("left(text, length)", &[Text, Bigint], |row| {
            Some(row.text(0).chars().take(usize::try_from(row.bigint(1)).unwrap_or(0)).collect())
        }),
        RowFunction::text("right(text, length)", &[Text, Bigint], |row| {
            let (text, wanted) = (row.text(0), usize::try_from(row.bigint(1)).unwrap_or(0));
            Some(text.chars().skip(text.chars().count().saturating_sub(wanted)).collect())
        }),
        RowFunction::try_text("repeat(text, times)", &[Text, Bigint], |row| {
            let (text, times) = (row.text(0), usize::try_from(row.bigint(1)).unwrap_or(0));
            bounded("REPEAT", text.len().saturating_mul(times))?;
            Ok(Some(text.repeat(times)))
        }),
        RowFunction::text("reverse(text)", &[Text], |row| Some(row.text(0).chars().rev().collect())),
        RowFunction::try_text("replace(text, old, new)", &[Text, Text, Text], |row| {
            let (text, old, new) = (row.text(0), row.text(1), row.text(2));
            if old.is_empty() {
                return Ok(Some(text.to_owned()));
            }
            bounded("REPLACE", (text.len() / old.len()).saturating_mul(new.len()))?;
            Ok(Some(text.replace(old, new)))
        }),
        RowFunction::text("translate(text, from, to)", &[Text, Text, Text], |row| {
            let (from, to): (Vec<char>, Vec<char>) = (row.text(1).chars().collect(), row.text(2).chars().collect());
            let translated = |c: char| from.iter().position(|known| *known == c).map_or(Some(c), |at| to.get(at).copied());
            Some(row.text(0).chars().filter_map(translated).collect())
        }),
        RowFunction::text("initcap(text)", &[Text], |row| Some(initcap(row.text(0)))),
        RowFunction::try_text("lpad(text, length, padding)", &[Text, Bigint, Text], |row| padded(row, "LPAD", true)),
        RowFunction::try_text("rpad(text, length, padding)", &[Text, Bigint, Text], |row| padded(row, "RPAD", false)),
        RowFunction::text("overlay(text, new, from [, length])", &[Text, Text, Bigint, Bigint], overlay).optional(1),
        RowFunction::text("chr(number)", &[Bigint], |row| {
            u8::try_from(row.bigint(0).rem_euclid(256)).ok().filter(|_| row.bigint(0) >= 0).map(|code| char::from(code).to_string())
        }),
        RowFunction::int("ascii(text)", &[Text], |row| Some(i32::from(row.text(0).bytes().next().unwrap_or(0)))),
        RowFunction::boolean("is_alpha(text)", &[Text], |row| {
            Some(!row.text(0).is_empty() && row.text(0).chars().all(char::is_alphabetic))
        }),
        RowFunction::boolean("is_digit(text)", &[Text], |row| Some(!row.text(0).is_empty() && row.text(0).chars().all(char::is_numeric))),
        RowFunction::boolean("is_decimal(text)", &[Text], |row| Some(row.text(0).parse::<f64>().is_ok_and(f64::is_finite))),
    ]
}

fn searching() -> Vec<RowFunction> {
    vec![
        RowFunction::int("position(part IN text)", &[Text, Text], |row| Some(position(row.text(1), row.text(0), 1))),
        RowFunction::int("locate(part, text [, from])", &[Text, Text, Bigint], |row| {
            let from = if row.has(2) { row.bigint(2) } else { 1 };
            Some(position(row.text(1), row.text(0), from))
        })
        .optional(1),
        RowFunction::int("instr(text, part)", &[Text, Text], |row| Some(position(row.text(0), row.text(1), 1))),
        RowFunction::boolean("startswith(text, part)", &[Text, Text], |row| Some(row.text(0).starts_with(row.text(1)))),
        RowFunction::boolean("endswith(text, part)", &[Text, Text], |row| Some(row.text(0).ends_with(row.text(1)))),
    ]
}

fn regular_expressions() -> Vec<RowFunction> {
    vec![
        RowFunction::try_boolean("regexp(text, regex)", &[Text, Text], |row| Ok(Some(row.regex(1)?.is_match(row.text(0))))),
        RowFunction::try_text("regexp_replace(text, regex, new)", &[Text, Text, Text], |row| {
            let new = replacement(row.text(2));
            Ok(Some(row.regex(1)?.replace_all(row.text(0), new.as_str()).into_owned()))
        }),
        RowFunction::try_int("regexp_count(text, regex)", &[Text, Text], |row| {
            Ok(i32::try_from(row.regex(1)?.find_iter(row.text(0)).count()).ok())
        }),
        RowFunction::try_int("regexp_instr(text, regex)", &[Text, Text], |row| {
            let (text, regex) = (row.text(0), row.regex(1)?);
            Ok(Some(regex.find(text).map_or(0, |found| number_of_char(text, found.start()))))
        }),
        RowFunction::try_text("regexp_substr(text, regex)", &[Text, Text], |row| {
            Ok(row.regex(1)?.find(row.text(0)).map(|found| found.as_str().to_owned()))
        }),
    ]
}

fn encodings() -> Vec<RowFunction> {
    vec![
        RowFunction::text("to_base64(text)", &[Binary], |row| Some(BASE64.encode(row.binary(0)))),
        RowFunction::text("from_base64(text)", &[Text], |row| {
            BASE64.decode(row.text(0)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        }),
        RowFunction::text("md5(text)", &[Binary], |row| Some(hex(&md5::Md5::digest(row.binary(0))))),
        RowFunction::text("sha1(text)", &[Binary], |row| Some(hex(&sha1::Sha1::digest(row.binary(0))))),
        RowFunction::text("sha224(text)", &[Binary], |row| Some(hex(&sha2::Sha224::digest(row.binary(0))))),
        RowFunction::text("sha256(text)", &[Binary], |row| Some(hex(&sha2::Sha256::digest(row.binary(0))))),
        RowFunction::text("sha384(text)", &[Binary], |row| Some(hex(&sha2::Sha384::digest(row.binary(0))))),
        RowFunction::text("sha512(text)", &[Binary], |row| Some(hex(&sha2::Sha512::digest(row.binary(0))))),
        RowFunction::try_text("sha2(text, bits)", &[Binary, Bigint], |row| {
            let bytes = row.binary(0);
            Ok(Some(match row.bigint(1) {
                224 => hex(&sha2::Sha224::digest(bytes)),
                256 => hex(&sha2::Sha256::digest(bytes)),
                384 => hex(&sha2::Sha384::digest(bytes)),
                512 => hex(&sha2::Sha512::digest(bytes)),
                other => return Err(Error::user(format!("SHA2: {other} bits are not possible; 224, 256, 384 or 512 are"))),
            }))
        }),
        RowFunction::text("bin(number)", &[Bigint], |row| Some(format!("{:b}", row.bigint(0)))),
        RowFunction::try_binary("encode(text, charset)", &[Text, Text], |row| {
            let text = row.text(0);
            let narrow = |limit: u32| text.chars().map(|c| if u32::from(c) < limit { c as u8 } else { b'?' }).collect();
            Ok(Some(match charset("ENCODE", row.text(1))? {
                Charset::Utf8 => text.as_bytes().to_vec(),
                Charset::Ascii => narrow(128),
                Charset::Latin1 => narrow(256),
                Charset::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
                Charset::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            }))
        }),
        RowFunction::try_text("decode(bytes, charset)", &[Binary, Text], |row| {
            let bytes = row.binary(0);
            let wide = |unit: fn([u8; 2]) -> u16| {
                let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
                String::from_utf16_lossy(&units)
            };
            Ok(Some(match charset("DECODE", row.text(1))? {
                Charset::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
                Charset::Ascii => bytes.iter().map(|b| if b.is_ascii() { char::from(*b) } else { char::REPLACEMENT_CHARACTER }).collect(),
                Charset::Latin1 => bytes.iter().map(|b| char::from(*b)).collect(),
                Charset::Utf16Be => wide(u16::from_be_bytes),
                Charset::Utf16Le => wide(u16::from_le_bytes),
            }))
        }),
        RowFunction::text("url_encode(text)", &[Text], |row| Some(form_urlencoded::byte_serialize(row.text(0).as_bytes()).collect())),
        RowFunction::text("url_decode(text)", &[Text], |row| url_decoded(row.text(0))),
        RowFunction::int("hash_code(text)", &[Text], |row| {
            Some(row.text(0).encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit))))
        }),
        RowFunction::text("uuid()", &[], |_| {
            let id = world().random_id() & !(0xF << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
            let digits = format!("{id:032x}");
            Some([&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-"))
        })
        .volatile(),
        RowFunction::double("rand()", &[], |_| Some(uniform())).volatile(),
        RowFunction::try_int("rand_integer(bound)", &[Double], |row| {
            let bound = row.double(0);
            if bound < 1.0 {
                return Err(Error::user(format!("RAND_INTEGER: the bound {bound} is not positive")));
            }
            Ok(Some((uniform() * bound) as i32))
        })
        .volatile(),
    ]
}

/// From 0 to 1, without 1.
fn uniform() -> f64 {
    (world().random() >> 11) as f64 / (1_u64 << 53) as f64
}

fn bounded(name: &str, bytes: usize) -> Result<()> {
    if bytes <= LONGEST {
        return Ok(());
    }
    Err(Error::user(format!("{name} would make a text of {bytes} bytes; {LONGEST} are possible")))
}

fn trimmed(row: &Row<'_>, start: bool, end: bool) -> String {
    let text = row.text(0);
    let characters: Vec<char> = if row.has(1) { row.text(1).chars().collect() } else { vec![' '] };
    let text = if start { text.trim_start_matches(&*characters) } else { text };
    let text = if end { text.trim_end_matches(&*characters) } else { text };
    text.to_owned()
}

/// Counted from 1; a negative start counts from the end.
fn substring(row: &Row<'_>) -> Option<String> {
    let (text, from) = (row.text(0), row.bigint(1));
    let length = if row.has(2) { row.bigint(2) } else { i64::MAX };
    let length = usize::try_from(length).ok()?;
    let start = match from {
        1.. => usize::try_from(from - 1).ok()?,
        0 => 0,
        _ => match (text.chars().count() as i64).checked_add(from) {
            Some(start @ 0..) => start as usize,
            _ => return Some(String::new()),
        },
    };
    Some(text.chars().skip(start).take(length).collect())
}

fn initcap(text: &str) -> String {
    let mut within = false;
    let mut capital = |c: char| {
        let first = !std::mem::replace(&mut within, c.is_alphanumeric());
        if first { c.to_uppercase().collect::<String>() } else { c.to_lowercase().collect() }
    };
    text.chars().map(&mut capital).collect()
}

fn padded(row: &Row<'_>, name: &str, before: bool) -> Result<Option<String>> {
    let (text, padding) = (row.text(0), row.text(2));
    let Ok(length) = usize::try_from(row.bigint(1)) else { return Ok(None) };
    let missing = length.saturating_sub(text.chars().count());
    if missing == 0 {
        return Ok(Some(text.chars().take(length).collect()));
    }
    if padding.is_empty() {
        return Ok(None);
    }
    bounded(name, missing.saturating_mul(4))?;
    let padding: String = padding.chars().cycle().take(missing).collect();
    Ok(Some(if before { padding + text } else { text.to_owned() + &padding }))
}

fn overlay(row: &Row<'_>) -> Option<String> {
    let (text, new, from) = (row.text(0), row.text(1), row.bigint(2));
    let length = if row.has(3) { row.bigint(3) } else { new.chars().count() as i64 };
    let count = text.chars().count() as i64;
    if from < 1 || from > count {
        return Some(text.to_owned());
    }
    let mut result: String = text.chars().take(from as usize - 1).collect();
    result.push_str(new);
    let rest = (from - 1).saturating_add(length);
    if (0..count).contains(&rest) {
        result.extend(text.chars().skip(rest as usize));
    }
    Some(result)
}

/// Where the part begins, counted from 1; 0 if it is not there.
fn position(text: &str, part: &str, from: i64) -> i32 {
    let Some(skipped) = usize::try_from(from).ok().and_then(|from| from.checked_sub(1)) else { return 0 };
    let Some(start) = text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(skipped) else { return 0 };
    text[start..].find(part).map_or(0, |found| number_of_char(text, start + found))
}

fn number_of_char(text: &str, byte: usize) -> i32 {
    i32::try_from(text[..byte].chars().count()).map_or(i32::MAX, |before| before + 1)
}

/// Java's replacement text (`$1`, `\$`) as the crate `regex` has it.
fn replacement(java: &str) -> String {
    let (mut text, mut characters) = (String::new(), java.chars().peekable());
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some('$') => text.push_str("$$"),
                Some(other) => text.push(other),
                None => {}
            },
            '$' => {
                let mut group = String::new();
                while let Some(digit) = characters.next_if(char::is_ascii_digit) {
                    group.push(digit);
                }
                text.push_str(&if group.is_empty() { "$$".to_owned() } else { format!("${{{group}}}") });
            }
            other => text.push(other),
        }
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

enum Charset {
    Utf8,
    Ascii,
    Latin1,
    Utf16Be,
    Utf16Le,
}

fn charset(function: &str, name: &str) -> Result<Charset> {
    Ok(match &*name.to_ascii_uppercase() {
        "UTF-8" | "UTF8" => Charset::Utf8,
        "US-ASCII" | "ASCII" => Charset::Ascii,
        "ISO-8859-1" | "LATIN1" => Charset::Latin1,
        "UTF-16BE" | "UTF-16" => Charset::Utf16Be,
        "UTF-16LE" => Charset::Utf16Le,
        _ => {
            let text =
                format!("{function}: there is no character set '{name}'; UTF-8, US-ASCII, ISO-8859-1, UTF-16BE and UTF-16LE are known");
            return Err(Error::user(text));
        }
    })
}

/// `None` for an escape that is none.
fn url_decoded(text: &str) -> Option<String> {
    let escapes = text.match_indices('%').all(|(at, _)| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !escapes {
        return None;
    }
    let pair = format!("x={}", text.replace('&', "%26"));
    form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
}
