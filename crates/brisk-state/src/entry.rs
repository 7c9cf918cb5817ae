//! The bytes of table entries: how keys, values and lists are written in byte stores and snapshots.

use brisk_base::Result;
use brisk_core::state::Namespace;
use brisk_core::types::{Decoder, Key, Record, put_varint};

/// Reads the key and namespace with which an entry's key begins.
pub(crate) fn decode_slot<K: Key, N: Namespace>(input: &mut Decoder<'_>) -> Result<(K, N)> {
    Ok((K::decode_ordered(input)?, N::decode_ordered(input)?))
}

/// Reads a value that takes all of the bytes.
pub(crate) fn decode<V: Record>(bytes: &[u8]) -> Result<V> {
    let mut input = Decoder::new(bytes);
    let value = V::decode(&mut input)?;
    input.finish().map(|()| value)
}

/// Appends an element of a list: its length, then its encoding. So that lists can be appended to without being read.
pub(crate) fn put_element<V: Record>(value: &V, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    scratch.clear();
    value.encode(scratch);
    put_varint(out, scratch.len() as u64);
    out.extend_from_slice(scratch);
}

/// Reads the elements of a list.
pub(crate) fn decode_elements<V: Record>(bytes: &[u8]) -> Result<Vec<V>> {
    let mut input = Decoder::new(bytes);
    let mut elements = Vec::new();
    while input.remaining() > 0 {
        elements.push(decode(input.bytes()?)?);
    }
    Ok(elements)
}

/// Shows the encoded elements of a list.
pub(crate) fn for_each_element(bytes: &[u8], mut show: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut input = Decoder::new(bytes);
    while input.remaining() > 0 {
        show(input.bytes()?)?;
    }
    Ok(())
}
