//! Watermark alignment between sources: the lowest watermark of each group.

use brisk_base::Timestamp;
use std::collections::BTreeMap;

/// The watermarks that the sources of each group have reported last.
#[derive(Debug, Default)]
pub struct AlignmentGroups(BTreeMap<String, BTreeMap<usize, Timestamp>>);

impl AlignmentGroups {
    /// Takes a report over. Gives the group's lowest watermark, and its sources, which are to be told.
    pub fn report(&mut self, source: usize, group: String, watermark: Timestamp) -> (Timestamp, Vec<usize>) {
        let sources = self.0.entry(group).or_default();
        sources.insert(source, watermark);
        Self::lowest(sources)
    }

    /// A source has ended and holds nobody back any more. Gives, for each group it was in, what [`report`](Self::report) gives.
    pub fn remove(&mut self, source: usize) -> Vec<(Timestamp, Vec<usize>)> {
        let left = self.0.values_mut().filter_map(|sources| sources.remove(&source).is_some().then_some(&*sources));
        left.filter(|sources| !sources.is_empty()).map(Self::lowest).collect()
    }

    fn lowest(sources: &BTreeMap<usize, Timestamp>) -> (Timestamp, Vec<usize>) {
        (sources.values().copied().min().unwrap_or(Timestamp::MAX), sources.keys().copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_source_of_a_group_counts_until_it_ends() {
        let mut groups = AlignmentGroups::default();
        assert_eq!(groups.report(0, "a".to_owned(), Timestamp(50)), (Timestamp(50), vec![0]));
        assert_eq!(groups.report(1, "a".to_owned(), Timestamp(20)), (Timestamp(20), vec![0, 1]));
        assert_eq!(groups.report(2, "b".to_owned(), Timestamp(1)), (Timestamp(1), vec![2]));
        assert_eq!(groups.remove(1), [(Timestamp(50), vec![0])]);
        assert_eq!(groups.remove(1), []);
        assert_eq!(groups.remove(2), [], "nobody is left to be told");
    }
}
