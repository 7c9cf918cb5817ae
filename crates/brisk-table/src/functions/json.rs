//! Functions of JSON texts. Paths are SQL's: `$.name`, `$['name']`, `$[0]`, with `lax` or `strict` before them.

use super::row::Kind::Text;
use super::row::{Row, RowFunction};
use brisk_base::{Error, Result};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

pub(super) fn all() -> Vec<RowFunction> {
    vec![
        RowFunction::try_text("json_value(json, path)", &[Text, Text], |row| {
            Ok(found(row)?.and_then(|value| match value {
                Json::Text(text) => Some(text),
                Json::Bare(text) => Some(text).filter(|text| text != "null"),
                Json::List(_) | Json::Object(_) => None,
            }))
        }),
        RowFunction::try_text("json_query(json, path)", &[Text, Text], |row| {
            Ok(found(row)?.filter(|value| matches!(value, Json::List(_) | Json::Object(_))).map(|value| value.to_string()))
        }),
        RowFunction::try_boolean("json_exists(json, path)", &[Text, Text], |row| Ok(Some(found(row)?.is_some()))),
        RowFunction::text("json_quote(text)", &[Text], |row| Some(Json::Text(row.text(0).to_owned()).to_string())),
        RowFunction::text("json_unquote(text)", &[Text], |row| {
            // What is no JSON string stays as it is.
            let text = row.text(0);
            let quoted = text.starts_with('"') && text.ends_with('"');
            Some(if quoted { serde_json::from_str(text).unwrap_or_else(|_| text.to_owned()) } else { text.to_owned() })
        }),
    ]
}

/// What the path leads to; `None` also if the text is no JSON.
fn found(row: &Row<'_>) -> Result<Option<Json>> {
    let path = steps(row.text(1))?;
    let Ok(mut value) = serde_json::from_str::<Json>(row.text(0)) else { return Ok(None) };
    for step in path {
        let next = match (step, value) {
            (Step::Name(name), Json::Object(members)) => members.into_iter().rfind(|(member, _)| *member == name).map(|(_, value)| value),
            (Step::Index(index), Json::List(items)) => items.into_iter().nth(index),
            _ => None,
        };
        let Some(next) = next else { return Ok(None) };
        value = next;
    }
    Ok(Some(value))
}

enum Step {
    Name(String),
    Index(usize),
}

fn steps(path: &str) -> Result<Vec<Step>> {
    let wrong = |why: &str| Error::user(format!("the JSON path '{path}' {why}: write $.name, $['name'] or $[0]"));
    let trimmed = path.trim();
    let body = trimmed.strip_prefix("lax ").or_else(|| trimmed.strip_prefix("strict ")).unwrap_or(trimmed).trim_start();
    let mut rest = body.strip_prefix('$').ok_or_else(|| wrong("does not begin with $"))?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            if end == 0 || name.starts_with('*') {
                return Err(wrong("has a step that is not supported"));
            }
            steps.push(Step::Name(name[..end].to_owned()));
            rest = &name[end..];
        } else if let Some(step) = rest.strip_prefix('[') {
            let quote = step.chars().next().filter(|c| matches!(c, '\'' | '"'));
            let (inside, after) = match quote {
                Some(quote) => step[1..].split_once(quote).and_then(|(name, after)| Some((name, after.strip_prefix(']')?))),
                None => step.split_once(']'),
            }
            .ok_or_else(|| wrong("has a bracket that is not closed"))?;
            steps.push(match quote {
                Some(_) => Step::Name(inside.to_owned()),
                None => Step::Index(inside.trim().parse().map_err(|_| wrong("has a step that is not supported"))?),
            });
            rest = after;
        } else {
            return Err(wrong("cannot be read"));
        }
    }
    Ok(steps)
}

/// A JSON value that keeps the order of members and the text of numbers.
enum Json {
    Text(String),
    /// A number, a boolean or null.
    Bare(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| serde_json::to_string(text).map_err(|_| fmt::Error);
        match self {
            Self::Text(text) => f.write_str(&quoted(text)?),
            Self::Bare(text) => f.write_str(text),
            Self::List(items) => {
                f.write_str("[")?;
                for (number, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if number > 0 { "," } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (number, (name, value)) in members.iter().enumerate() {
                    write!(f, "{}{}:{value}", if number > 0 { "," } else { "" }, quoted(name)?)?;
                }
                f.write_str("}")
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_bool<E>(self, value: bool) -> std::result::Result<Json, E> {
                Ok(Json::Bare(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> std::result::Result<Json, E> {
                Ok(Json::Bare(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> std::result::Result<Json, E> {
                Ok(Json::Bare(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> std::result::Result<Json, E> {
                Ok(Json::Bare(format!("{value:?}")))
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Json, E> {
                Ok(Json::Text(value.to_owned()))
            }

            fn visit_unit<E>(self) -> std::result::Result<Json, E> {
                Ok(Json::Bare("null".to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Json, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Json::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Json, A::Error> {
                let mut object = Vec::new();
                while let Some(member) = members.next_entry()? {
                    object.push(member);
                }
                Ok(Json::Object(object))
            }
        }

        deserializer.deserialize_any(Any)
    }
}
