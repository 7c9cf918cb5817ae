//! Scans the database and the layers over it as one.

use super::overlay::{LayerView, Resolved, resolve};
use brisk_base::Result;
use brisk_core::state::ByteVisitor;
use std::iter::Peekable;
use std::ops::ControlFlow;

/// Entries of the database, in order.
pub(super) trait Cursor {
    /// The entry it stands at; none at the end.
    fn entry(&self) -> Option<(&[u8], &[u8])>;

    /// Goes to the next.
    fn advance(&mut self) -> Result<()>;
}

/// Keys of one layer, in order.
type LayerKeys<'l> = Peekable<Box<dyn Iterator<Item = &'l [u8]> + 'l>>;

/// Shows the entries of a range as all layers (the newest first) and the database have them.
pub(super) fn scan<'l>(
    layers: &[&'l dyn LayerView],
    below: &mut dyn Cursor,
    from: &'l [u8],
    to: Option<&'l [u8]>,
    visit: &mut ByteVisitor<'_>,
) -> Result<ControlFlow<()>> {
    let mut ranges: Vec<LayerKeys<'l>> = layers.iter().map(|layer| layer.keys(from, to).peekable()).collect();
    loop {
        let lowest: Option<&'l [u8]> = ranges.iter_mut().filter_map(|range| range.peek().copied()).min();
        let base = below.entry().filter(|(key, _)| lowest.is_none_or(|lowest| *key <= lowest));
        let shown = match (base, lowest) {
            (Some((key, value)), _) => show(layers, key, Some(value), visit)?,
            (None, Some(key)) => show(layers, key, None, visit)?,
            (None, None) => return Ok(ControlFlow::Continue(())),
        };
        if shown.is_break() {
            return Ok(shown);
        }
        // Everyone who stands at the key that was shown goes on.
        let (at_base, at_layers) = match (base, lowest) {
            (Some((key, _)), Some(lowest)) => (true, key == lowest),
            (base, _) => (base.is_some(), base.is_none()),
        };
        if at_base {
            below.advance()?;
        }
        for range in ranges.iter_mut().filter(|_| at_layers) {
            if range.peek().copied() == lowest {
                range.next();
            }
        }
    }
}

/// Shows one key, if the layers leave something of it.
fn show(layers: &[&dyn LayerView], key: &[u8], base: Option<&[u8]>, visit: &mut ByteVisitor<'_>) -> Result<ControlFlow<()>> {
    match resolve(layers.iter().copied(), key) {
        Resolved::Known(Some(value)) => visit(key, &value),
        Resolved::Known(None) => Ok(ControlFlow::Continue(())),
        Resolved::Below(suffix) => match base {
            Some(base) if suffix.is_empty() => visit(key, base),
            Some(base) => visit(key, &[base, &suffix].concat()),
            None if suffix.is_empty() => Ok(ControlFlow::Continue(())),
            None => visit(key, &suffix),
        },
    }
}
