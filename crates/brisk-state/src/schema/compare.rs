//! Finds the first difference between the types of a restored state and those of the program.

use brisk_base::{Error, Result};
use brisk_core::state::{KeyedStateMeta, StateDescriptor, StateKind};
use brisk_core::types::{Field, Schema};

/// Whether a restored state can be read as the program's, all types being known.
pub(crate) fn compare(old: &KeyedStateMeta, new: &KeyedStateMeta) -> Result<()> {
    compare_kind(old.kind, new.kind)?;
    compare_slots(old, &new.key, Some(&new.namespace))?;
    compare_map_keys(old.map_key.as_ref(), new.map_key.as_ref())?;
    same(value_word(new.kind), &old.value, &new.value)
}

/// Whether a restored state has the program's keys, and namespaces where these are known.
pub(crate) fn compare_slots(old: &KeyedStateMeta, key: &Schema, namespace: Option<&Schema>) -> Result<()> {
    same("key", &old.key, key)?;
    namespace.map_or(Ok(()), |namespace| same("namespace", &old.namespace, namespace))
}

/// Whether a state in a backend's own form has the order of key and namespace that the program gives it.
pub(crate) fn check_layout(old: &KeyedStateMeta, declared: &[StateDescriptor]) -> Result<()> {
    match declared.iter().find(|state| state.name == old.name) {
        Some(state) if state.layout != old.layout => Err(Error::user(
            "the checkpoint has it in another order of key and namespace than the program: take a savepoint with the program that wrote the \
             checkpoint, and restore that",
        )),
        _ => Ok(()),
    }
}

pub(super) const fn value_word(kind: StateKind) -> &'static str {
    match kind {
        StateKind::Value | StateKind::Map => "value",
        StateKind::List => "element",
    }
}

pub(super) fn compare_kind(old: StateKind, new: StateKind) -> Result<()> {
    let word = |kind| match kind {
        StateKind::Value => "a value",
        StateKind::List => "a list",
        StateKind::Map => "a map",
    };
    if old == new { Ok(()) } else { Err(refused(format!("it was {} and is declared as {}", word(old), word(new)))) }
}

pub(super) fn compare_map_keys(old: Option<&Schema>, new: Option<&Schema>) -> Result<()> {
    match (old, new) {
        (Some(old), Some(new)) => same("map key", old, new),
        _ => Ok(()),
    }
}

fn same(part: &str, old: &Schema, new: &Schema) -> Result<()> {
    difference(old, new).map_or(Ok(()), |difference| Err(refused(format!("its {part} has changed: {difference}"))))
}

pub(super) fn refused(what: String) -> Error {
    Error::user(format!(
        "the checkpoint's state does not fit the program: {what}. Give the state another name to start it anew, or restore with the types \
         it was written with"
    ))
}

/// The first place where two types are encoded differently, in words. Names of types do not matter, those of fields do.
fn difference(old: &Schema, new: &Schema) -> Option<String> {
    match (old, new) {
        (Schema::Option(old), Schema::Option(new)) | (Schema::List(old), Schema::List(new)) => difference(old, new),
        (Schema::Array { element: old, len: before }, Schema::Array { element: new, len: after }) if before == after => {
            difference(old, new)
        }
        (Schema::Map { key: old_key, value: old }, Schema::Map { key: new_key, value: new }) => {
            difference(old_key, new_key).or_else(|| difference(old, new))
        }
        (Schema::Tuple(old), Schema::Tuple(new)) if old.len() == new.len() => {
            let mut elements = old.iter().zip(new).enumerate();
            elements.find_map(|(index, (old, new))| Some(format!("element {index}: {}", difference(old, new)?)))
        }
        (Schema::Struct { fields: old, .. }, Schema::Struct { name, fields: new }) => in_fields(&format!("struct {name}"), old, new),
        (Schema::Enum { variants: old, .. }, Schema::Enum { name, variants: new }) => {
            if old.len() != new.len() {
                return Some(format!("enum {name} had {} variants and has {}", old.len(), new.len()));
            }
            old.iter().zip(new).find_map(|(old, new)| {
                if old.name == new.name {
                    in_fields(&format!("variant {name}::{}", new.name), &old.fields, &new.fields)
                } else {
                    Some(format!("in the place of enum {name}'s variant '{}' there is '{}' now", old.name, new.name))
                }
            })
        }
        (Schema::Recursive { .. }, Schema::Recursive { .. }) => None,
        (old, new) if old == new => None,
        (old, new) => Some(format!("it was {old} and is {new}")),
    }
}

fn in_fields(place: &str, old: &[Field], new: &[Field]) -> Option<String> {
    if let Some(gone) = old.iter().find(|field| new.iter().all(|other| other.name != field.name)) {
        return Some(format!("field '{}' of {place} is gone", gone.name));
    }
    if let Some(added) = new.iter().find(|field| old.iter().all(|other| other.name != field.name)) {
        return Some(format!("field '{}' of {place} is new", added.name));
    }
    old.iter().zip(new).find_map(|(old, new)| {
        if old.name == new.name {
            Some(format!("field '{}' of {place}: {}", new.name, difference(&old.schema, &new.schema)?))
        } else {
            Some(format!("in the place of {place}'s field '{}' there is '{}' now", old.name, new.name))
        }
    })
}
