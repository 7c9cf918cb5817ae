//! Stable operator ids: from the user's uid, else from the operator's place in the graph. Never from names or node numbers.
//!
//! The rules and the hash are those of Flink's `StreamGraphHasherV2`, so that the same program has the same ids in both.

use super::chaining::is_chainable;
use super::resolved::Resolved;
use brisk_base::ids::OperatorId;
use brisk_base::{Error, Result};
use std::collections::{BTreeMap, VecDeque};

/// The ids of all nodes, by node.
pub(super) fn operator_ids(resolved: &Resolved<'_>) -> Result<Vec<OperatorId>> {
    let count = resolved.graph.nodes.len();
    let mut hashes: Vec<Option<[u8; 16]>> = vec![None; count];
    let mut hashed = 0;
    let mut remaining: VecDeque<usize> = (0..count).filter(|&node| resolved.incoming[node].is_empty()).collect();
    let mut visited = vec![false; count];
    remaining.iter().for_each(|&node| visited[node] = true);
    while let Some(node) = remaining.pop_front() {
        let hash = match &resolved.node(node).uid {
            Some(uid) => Some(murmur3_128(uid.as_bytes())),
            None => structural_hash(resolved, node, hashed, &hashes),
        };
        if hash.is_none() {
            // An input has no hash yet: it will come here again.
            visited[node] = false;
            continue;
        }
        hashes[node] = hash;
        hashed += 1;
        for &edge in &resolved.outgoing[node] {
            let child = resolved.edge(edge).to.0 as usize;
            if !std::mem::replace(&mut visited[child], true) {
                remaining.push_back(child);
            }
        }
    }
    let ids: Option<Vec<_>> = hashes.into_iter().map(|hash| hash.map(|hash| OperatorId(u128::from_be_bytes(hash)))).collect();
    let ids = ids.ok_or_else(|| Error::bug("an operator got no id, because an input of it has none"))?;
    refuse_collisions(resolved, &ids)?;
    Ok(ids)
}

fn refuse_collisions(resolved: &Resolved<'_>, ids: &[OperatorId]) -> Result<()> {
    let mut seen = BTreeMap::new();
    for (node, id) in ids.iter().enumerate() {
        if let Some(other) = seen.insert(id, node) {
            let [one, two] = [other, node].map(|node| &resolved.node(node).name);
            return Err(Error::user(format!("operators '{one}' and '{two}' get the same id {id}: set another uid(..) on one of them")));
        }
    }
    Ok(())
}

/// `None` while an input has no hash.
fn structural_hash(resolved: &Resolved<'_>, node: usize, hashed: u32, hashes: &[Option<[u8; 16]>]) -> Option<[u8; 16]> {
    let inputs: Vec<[u8; 16]> =
        resolved.incoming[node].iter().map(|&edge| hashes[resolved.edge(edge).from.0 as usize]).collect::<Option<_>>()?;
    let mut local = hashed.to_le_bytes().to_vec();
    for _ in resolved.outgoing[node].iter().filter(|&&edge| is_chainable(resolved, edge)) {
        local.extend(hashed.to_le_bytes());
    }
    let mut hash = murmur3_128(&local);
    for input in inputs {
        hash.iter_mut().zip(input).for_each(|(byte, other)| *byte = byte.wrapping_mul(37) ^ other);
    }
    Some(hash)
}

/// `MurmurHash3_x64_128` with seed 0 (Austin Appleby, public domain), as Guava writes it: both halves in little endian.
fn murmur3_128(data: &[u8]) -> [u8; 16] {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let mix1 = |k: u64| k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let mix2 = |k: u64| k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    let (mut h1, mut h2) = (0u64, 0u64);
    let mut blocks = data.chunks_exact(16);
    for block in &mut blocks {
        let [k1, k2] = halves(block);
        h1 = (h1 ^ mix1(k1)).rotate_left(27).wrapping_add(h2).wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 = (h2 ^ mix2(k2)).rotate_left(31).wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let [k1, k2] = halves(blocks.remainder());
    h1 ^= mix1(k1) ^ data.len() as u64;
    h2 ^= mix2(k2) ^ data.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    h1 = finish(h1);
    h2 = finish(h2);
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    let mut out = [0; 16];
    out[..8].copy_from_slice(&h1.to_le_bytes());
    out[8..].copy_from_slice(&h2.to_le_bytes());
    out
}

/// Up to 16 bytes as two numbers in little endian, filled up with zeros.
fn halves(bytes: &[u8]) -> [u64; 2] {
    let mut padded = [0; 16];
    padded[..bytes.len()].copy_from_slice(bytes);
    let both = u128::from_le_bytes(padded);
    [both as u64, (both >> 64) as u64]
}

const fn finish(mut k: u64) -> u64 {
    k = (k ^ (k >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    k = (k ^ (k >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_murmur3() {
        let hex = |data: &[u8]| format!("{:032x}", u128::from_be_bytes(murmur3_128(data)));
        assert_eq!(hex(b""), "00000000000000000000000000000000");
        assert_eq!(hex(&[0; 4]), "bc764cd8ddf7a0cff126f51c16239658", "Flink's id of a lone source");
        assert_eq!(hex(&[0; 8]), "cbc357ccb763df2852fee8c4fc7d55f2", "Flink's id of a source with one chained operator");
        assert_eq!(hex(b"The quick brown fox jumps over the lazy dog"), "6c1b07bc7bbc4be347939ac4a93c437a", "Guava's own test value");
    }
}
