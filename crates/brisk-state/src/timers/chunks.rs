//! A growing array whose generations can be frozen: its chunks are shared until they are written to.

use std::sync::Arc;

/// Elements of a chunk: those that the first write after a freeze copies.
const CHUNK: usize = 256;

/// The array.
pub(super) struct Chunks<T> {
    /// Full chunks, but for the last.
    chunks: Vec<Arc<Vec<T>>>,
    /// Number of elements.
    len: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T: Clone> Chunks<T> {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> &T {
        &self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: u32) -> &mut T {
        &mut Arc::make_mut(&mut self.chunks[index as usize / CHUNK])[index as usize % CHUNK]
    }

    pub(super) fn push(&mut self, element: T) {
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.push(Arc::new(Vec::new()));
        }
        Arc::make_mut(&mut self.chunks[self.len / CHUNK]).push(element);
        self.len += 1;
    }

    /// All elements as they are now.
    pub(super) fn freeze(&self) -> Vec<Arc<Vec<T>>> {
        self.chunks.clone()
    }

    /// Bytes of memory, without what the elements hold outside of themselves.
    pub(super) fn allocated_bytes(&self) -> usize {
        self.chunks.capacity() * size_of::<Arc<Vec<T>>>() + self.chunks.iter().map(|chunk| chunk.capacity() * size_of::<T>()).sum::<usize>()
    }
}

/// An element of a frozen array.
pub(super) fn in_frozen<T>(chunks: &[Arc<Vec<T>>], index: u32) -> &T {
    &chunks[index as usize / CHUNK][index as usize % CHUNK]
}
