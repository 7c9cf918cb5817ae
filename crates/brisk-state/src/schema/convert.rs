//! How the values of a restored state become those that the program declares.

use super::compare::{compare_kind, compare_map_keys, refused, value_word};
use brisk_base::{Result, Timestamp};
use brisk_core::state::{Expiring, KeyedStateMeta, StateDescriptor, StateKind, StateMigration};
use brisk_core::types::{Decoder, Evolution, Record, put_bytes};

/// How the values of one restored state become those that the program declares.
#[derive(Clone, Debug)]
pub(crate) struct Conversion {
    /// Whether the state is a list, of whose values each element is turned.
    list: bool,
    /// Whether old values have the time of their last use in front.
    was_timed: bool,
    /// The time of last use of values that have none, if they are to have one.
    timed: Option<Timestamp>,
    /// What becomes of the value itself.
    way: Way,
}

/// What becomes of a value.
#[derive(Clone, Debug)]
enum Way {
    /// It stays.
    Same,
    /// It is turned field by field.
    Evolved(Evolution),
    /// The program turns it.
    Migrated(StateMigration),
}

impl Conversion {
    /// The way from a restored state to the declared one; nothing when the bytes are the same.
    ///
    /// # Errors
    /// When there is none, with the field that has changed.
    pub(crate) fn plan(old: &KeyedStateMeta, declared: &StateDescriptor, now: Timestamp) -> Result<Option<Self>> {
        compare_kind(old.kind, declared.kind)?;
        compare_map_keys(old.map_key.as_ref(), declared.map_key.as_ref())?;
        let (was, is) = (Expiring::value_schema(&old.value), Expiring::value_schema(&declared.value));
        let (from, to) = (was.unwrap_or(&old.value), is.unwrap_or(&declared.value));
        let way = match declared.migrations.iter().find(|migration| migration.leads(from, to)) {
            Some(migration) => Way::Migrated(migration.clone()),
            None => match Evolution::plan(from, to) {
                Ok(None) => Way::Same,
                Ok(Some(evolution)) => Way::Evolved(evolution),
                Err(why) => return Err(refused(format!("its {} has changed: {why}", value_word(declared.kind)))),
            },
        };
        let same = matches!(way, Way::Same) && was.is_some() == is.is_some();
        let list = declared.kind == StateKind::List;
        Ok((!same).then(|| Self { list, was_timed: was.is_some(), timed: is.map(|_| now), way }))
    }

    /// Turns the value of an entry, as snapshots show it.
    ///
    /// # Errors
    /// The program's, and when the bytes are damaged.
    pub(crate) fn convert(&self, value: &[u8]) -> Result<Vec<u8>> {
        if !self.list {
            return self.convert_one(value);
        }
        let mut out = Vec::with_capacity(value.len());
        let mut input = Decoder::new(value);
        while input.remaining() > 0 {
            put_bytes(&mut out, &self.convert_one(input.bytes()?)?);
        }
        Ok(out)
    }

    fn convert_one(&self, value: &[u8]) -> Result<Vec<u8>> {
        let mut input = Decoder::new(value);
        let at = if self.was_timed { Some(Timestamp(input.zigzag()?)) } else { self.timed };
        let value = input.take(input.remaining())?;
        let mut out = Vec::new();
        if let (Some(_), Some(at)) = (self.timed, at) {
            at.encode(&mut out);
        }
        match &self.way {
            Way::Same => out.extend_from_slice(value),
            Way::Evolved(evolution) => out.extend(evolution.convert(value)?),
            Way::Migrated(migration) => out.extend(migration.convert(value)?),
        }
        Ok(out)
    }
}

/// Turns a value, if that is needed, and shows it.
pub(crate) fn converted<R>(conversion: Option<&Conversion>, value: &[u8], show: impl FnOnce(&[u8]) -> Result<R>) -> Result<R> {
    match conversion {
        None => show(value),
        Some(conversion) => show(&conversion.convert(value)?),
    }
}
