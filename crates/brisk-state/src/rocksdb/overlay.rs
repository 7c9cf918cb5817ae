//! Changes that are kept beside the database while a checkpoint's files are made.
//!
//! Layers of changes lie over one another and over the database, the newest on top. A layer is sealed when a frozen view needs it, and never
//! changes then. Invariant: reading through all layers gives what the changes, made in order, would have left.

use brisk_core::state::Write;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Bytes that an entry takes besides its key and value, approximately.
const ENTRY_BYTES: usize = 96;

/// What has become of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Entry {
    /// It has this value.
    Put(Vec<u8>),
    /// This comes after the value that lies below.
    Append(Vec<u8>),
    /// It is gone.
    Delete,
}

/// What one layer says of a key.
#[derive(Clone, Copy)]
pub(super) enum Said<'a> {
    /// Its value.
    Value(&'a [u8]),
    /// It is gone.
    Gone,
    /// This comes after what the layers below say.
    Suffix(&'a [u8]),
    /// Nothing: look below.
    Nothing,
}

/// Changes that lie over the database, to be read and scanned.
pub(super) trait LayerView {
    /// What this layer says of a key.
    fn said(&self, key: &[u8]) -> Said<'_>;

    /// The keys of a range of which this layer says something, in order; not those of deleted ranges.
    fn keys<'l>(&'l self, from: &[u8], to: Option<&[u8]>) -> Box<dyn Iterator<Item = &'l [u8]> + 'l>;
}

/// Ranges of keys that do not overlap, by their first key; a range without end goes on for ever.
type Ranges = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Changes of some time.
#[derive(Clone, Default, Debug)]
pub(super) struct Layer {
    /// Keys that were changed, after `gone`.
    entries: BTreeMap<Vec<u8>, Entry>,
    /// Ranges of which nothing that lies below is left.
    gone: Ranges,
    /// Bytes of the entries, approximately.
    bytes: usize,
}

impl Layer {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.gone.is_empty()
    }

    fn apply(&mut self, write: Write<'_>) {
        match write {
            Write::Put { key, value } => self.insert(key, Entry::Put(value.to_vec())),
            Write::Delete { key } => self.insert(key, Entry::Delete),
            Write::Append { key, bytes } => self.append(key, bytes),
            Write::DeleteRange { from, to } => self.delete_range(from, to),
        }
    }

    fn append(&mut self, key: &[u8], bytes: &[u8]) {
        match self.entries.get_mut(key) {
            Some(Entry::Put(value) | Entry::Append(value)) => {
                value.extend_from_slice(bytes);
                self.bytes += bytes.len();
            }
            Some(entry @ Entry::Delete) => {
                *entry = Entry::Put(bytes.to_vec());
                self.bytes += bytes.len();
            }
            None => {
                let entry = if self.is_gone(key) { Entry::Put(bytes.to_vec()) } else { Entry::Append(bytes.to_vec()) };
                self.insert(key, entry);
            }
        }
    }

    fn insert(&mut self, key: &[u8], entry: Entry) {
        self.bytes += entry_bytes(key, &entry);
        if let Some(old) = self.entries.insert(key.to_vec(), entry) {
            self.bytes -= entry_bytes(key, &old);
        }
    }

    fn delete_range(&mut self, from: &[u8], to: Option<&[u8]>) {
        if to.is_some_and(|to| to <= from) {
            return;
        }
        let within: Vec<Vec<u8>> = self.range(from, to).map(|(key, _)| key.clone()).collect();
        for key in within {
            if let Some(old) = self.entries.remove(&key) {
                self.bytes -= entry_bytes(&key, &old);
            }
        }
        // Join the range with those that it touches.
        let (mut start, mut end) = (from.to_vec(), to.map(<[u8]>::to_vec));
        let below = self.gone.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(from))).next_back();
        if let Some((first, last)) = below
            && last.as_deref().is_none_or(|last| last >= from)
        {
            start = first.clone();
            end = later(end, last.clone());
        }
        let upper = to.map_or(Bound::Unbounded, Bound::Included);
        let touched: Vec<Vec<u8>> = self.gone.range::<[u8], _>((Bound::Included(from), upper)).map(|(first, _)| first.clone()).collect();
        for first in touched {
            if let Some(last) = self.gone.remove(&first) {
                end = later(end, last);
            }
        }
        self.gone.insert(start, end);
    }

    fn is_gone(&self, key: &[u8]) -> bool {
        let range = self.gone.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back();
        range.is_some_and(|(_, end)| end.as_deref().is_none_or(|end| key < end))
    }

    /// The entries of a range, in order.
    fn range<'l>(&'l self, from: &[u8], to: Option<&[u8]>) -> impl Iterator<Item = (&'l Vec<u8>, &'l Entry)> + use<'l> {
        let fits = to.is_none_or(|to| from < to);
        let upper = to.map_or(Bound::Unbounded, Bound::Excluded);
        fits.then(|| self.entries.range::<[u8], _>((Bound::Included(from), upper))).into_iter().flatten()
    }
}

impl LayerView for Layer {
    fn said(&self, key: &[u8]) -> Said<'_> {
        match self.entries.get(key) {
            Some(Entry::Put(value)) => Said::Value(value),
            Some(Entry::Delete) => Said::Gone,
            Some(Entry::Append(bytes)) => Said::Suffix(bytes),
            None if self.is_gone(key) => Said::Gone,
            None => Said::Nothing,
        }
    }

    fn keys<'l>(&'l self, from: &[u8], to: Option<&[u8]>) -> Box<dyn Iterator<Item = &'l [u8]> + 'l> {
        Box::new(self.range(from, to).map(|(key, _)| key.as_slice()))
    }
}

fn entry_bytes(key: &[u8], entry: &Entry) -> usize {
    let value = match entry {
        Entry::Put(value) | Entry::Append(value) => value.len(),
        Entry::Delete => 0,
    };
    ENTRY_BYTES + key.len() + value
}

/// The later end of two.
fn later(a: Option<Vec<u8>>, b: Option<Vec<u8>>) -> Option<Vec<u8>> {
    Some(a?.max(b?))
}

/// All layers over the database.
#[derive(Default, Debug)]
pub(super) struct Overlay {
    /// Layers that do not change any more, the oldest first.
    sealed: Vec<Arc<Layer>>,
    /// Where changes go.
    active: Layer,
}

/// Changes on their way into the database, to be made in this order.
#[derive(Default)]
pub(super) struct Drained {
    /// Ranges to delete.
    pub(super) gone: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Keys to change after that.
    pub(super) entries: Vec<(Vec<u8>, Entry)>,
}

impl Overlay {
    pub(super) fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.active.is_empty()
    }

    /// Bytes of memory, approximately.
    pub(super) fn bytes(&self) -> usize {
        self.active.bytes + self.sealed.iter().map(|layer| layer.bytes).sum::<usize>()
    }

    pub(super) fn apply(&mut self, write: Write<'_>) {
        self.active.apply(write);
    }

    /// The layers as they are now, the newest first; they stay so.
    pub(super) fn freeze(&mut self) -> Vec<Arc<Layer>> {
        if !self.active.is_empty() {
            self.sealed.push(Arc::new(std::mem::take(&mut self.active)));
        }
        self.sealed.iter().rev().cloned().collect()
    }

    /// The layers, the newest first.
    pub(super) fn layers(&self) -> Vec<&Layer> {
        std::iter::once(&self.active).chain(self.sealed.iter().rev().map(|layer| &**layer)).filter(|layer| !layer.is_empty()).collect()
    }

    /// Takes the oldest changes out, about `count` of them.
    pub(super) fn drain(&mut self, count: usize) -> Drained {
        let mut drained = Drained::default();
        let layer = match self.sealed.first_mut() {
            // A frozen view that still needs the layer keeps its own copy.
            Some(layer) => Arc::make_mut(layer),
            None => &mut self.active,
        };
        drained.gone = std::mem::take(&mut layer.gone).into_iter().collect();
        while drained.entries.len() < count
            && let Some((key, entry)) = layer.entries.pop_first()
        {
            layer.bytes -= entry_bytes(&key, &entry);
            drained.entries.push((key, entry));
        }
        if layer.is_empty() && !self.sealed.is_empty() {
            self.sealed.remove(0);
        }
        drained
    }
}

/// What all layers say of a key.
pub(super) enum Resolved {
    /// Its value, or that it is gone.
    Known(Option<Vec<u8>>),
    /// What is in the database, with this after it.
    Below(Vec<u8>),
}

/// Asks the layers, the newest first, about a key.
pub(super) fn resolve<'a, L: LayerView + ?Sized + 'a>(layers: impl IntoIterator<Item = &'a L>, key: &[u8]) -> Resolved {
    let mut suffixes: Vec<&[u8]> = Vec::new();
    for layer in layers {
        match layer.said(key) {
            Said::Nothing => {}
            Said::Suffix(bytes) => suffixes.push(bytes),
            Said::Value(value) => return Resolved::Known(Some(joined(value, &suffixes))),
            Said::Gone => return Resolved::Known((!suffixes.is_empty()).then(|| joined(&[], &suffixes))),
        }
    }
    Resolved::Below(joined(&[], &suffixes))
}

/// A value and what was appended to it, the last first.
fn joined(value: &[u8], suffixes: &[&[u8]]) -> Vec<u8> {
    let mut all = value.to_vec();
    suffixes.iter().rev().for_each(|suffix| all.extend_from_slice(suffix));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Op {
        Put(u8, u8),
        Append(u8, u8),
        Delete(u8),
        DeleteRange(u8, Option<u8>),
        Freeze,
        Drain(usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            6 => (0u8..24, any::<u8>()).prop_map(|(key, value)| Op::Put(key, value)),
            6 => (0u8..24, any::<u8>()).prop_map(|(key, value)| Op::Append(key, value)),
            4 => (0u8..24).prop_map(Op::Delete),
            4 => (0u8..24, prop::option::of(0u8..26)).prop_map(|(from, to)| Op::DeleteRange(from, to)),
            2 => Just(Op::Freeze),
            2 => (0usize..5).prop_map(Op::Drain),
        ]
    }

    type Model = BTreeMap<u8, Vec<u8>>;

    fn change(model: &mut Model, write: &Write<'_>) {
        match *write {
            Write::Put { key, value } => drop(model.insert(key[0], value.to_vec())),
            Write::Append { key, bytes } => model.entry(key[0]).or_default().extend_from_slice(bytes),
            Write::Delete { key } => drop(model.remove(&key[0])),
            Write::DeleteRange { from, to } => model.retain(|key, _| *key < from[0] || to.is_some_and(|to| *key >= to[0])),
        }
    }

    fn through<'a>(layers: impl IntoIterator<Item = &'a Layer> + Clone, below: &Model) -> Model {
        let read = |key: u8| match resolve(layers.clone(), &[key]) {
            Resolved::Known(value) => value,
            Resolved::Below(suffix) => match below.get(&key) {
                Some(value) => Some([value.as_slice(), &suffix].concat()),
                None => (!suffix.is_empty()).then_some(suffix),
            },
        };
        (0..30).filter_map(|key| read(key).map(|value| (key, value))).collect()
    }

    proptest! {
        #[test]
        fn layers_over_a_model_read_as_one_model(ops in prop::collection::vec(op(), 1..80)) {
            let (mut overlay, mut below, mut model) = (Overlay::default(), Model::new(), Model::new());
            let mut frozen = Vec::new();
            for op in ops {
                let (mut write, key, value, end);
                write = None;
                match op {
                    Op::Put(k, v) => { (key, value) = ([k], [v]); write = Some(Write::Put { key: &key, value: &value }); }
                    Op::Append(k, v) => { (key, value) = ([k], [v]); write = Some(Write::Append { key: &key, bytes: &value }); }
                    Op::Delete(k) => { key = [k]; write = Some(Write::Delete { key: &key }); }
                    Op::DeleteRange(from, to) => {
                        key = [from];
                        end = to.map(|to| [to]);
                        write = Some(Write::DeleteRange { from: &key, to: end.as_ref().map(<[u8; 1]>::as_slice) });
                    }
                    Op::Freeze => frozen.push((overlay.freeze(), below.clone(), model.clone())),
                    Op::Drain(count) => {
                        let drained = overlay.drain(count);
                        for (from, to) in &drained.gone {
                            change(&mut below, &Write::DeleteRange { from, to: to.as_deref() });
                        }
                        for (key, entry) in &drained.entries {
                            change(&mut below, &match entry {
                                Entry::Put(value) => Write::Put { key, value },
                                Entry::Append(bytes) => Write::Append { key, bytes },
                                Entry::Delete => Write::Delete { key },
                            });
                        }
                    }
                }
                if let Some(write) = write {
                    overlay.apply(write);
                    change(&mut model, &write);
                }
                prop_assert_eq!(&through(overlay.layers(), &below), &model);
            }
            for (layers, below, model) in frozen {
                prop_assert_eq!(through(layers.iter().map(|layer| &**layer), &below), model);
            }
            while !overlay.is_empty() {
                overlay.drain(3);
            }
            prop_assert_eq!(overlay.bytes(), 0);
        }
    }
}
