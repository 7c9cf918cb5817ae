//! What a key means to Brisk: obeyed, Flink's but not obeyed yet, a matter of the JVM, or unknown.

use super::AnyOption;
use super::flink_keys::{JVM_ONLY, NOT_YET};

/// What Brisk does with a key.
#[derive(Clone)]
pub enum KeyStatus<'a> {
    /// An option of Brisk.
    Obeyed(&'a dyn AnyOption),
    /// One of a family whose names users choose, such as `metrics.reporter.<name>.port`.
    OfFamily,
    /// Flink has it; Brisk ignores it so far.
    NotYet,
    /// It tunes the JVM or its libraries: nothing to do.
    JvmOnly,
    /// Neither Flink nor Brisk has it.
    Unknown {
        /// The key it may have been meant to be.
        nearest: Option<&'static str>,
    },
}

/// Looks a key up among `options`, then among Flink's keys.
pub fn classify<'a>(key: &str, options: &[&'a dyn AnyOption]) -> KeyStatus<'a> {
    if let Some(option) = options.iter().find(|option| option.key() == key || option.aliases().contains(&key)) {
        return KeyStatus::Obeyed(*option);
    }
    // The tables of not yet obeyed keys may still hold what has become an option since: options come first.
    if of_family(key) {
        KeyStatus::OfFamily
    } else if listed(key, JVM_ONLY) {
        KeyStatus::JvmOnly
    } else if listed(key, NOT_YET) {
        KeyStatus::NotYet
    } else {
        KeyStatus::Unknown { nearest: nearest(key, options) }
    }
}

/// Families of keys that are obeyed: what stands before a name of the user's choice, and what behind it.
const FAMILIES: &[(&str, &[&str])] = &[("metrics.reporter.", &["factory.class", "port"])];

/// Whether the key is one of an obeyed family, or chooses among one.
fn of_family(key: &str) -> bool {
    let is_one = |(before, behind): &(&str, &[&str])| {
        key.strip_prefix(before)
            .and_then(|rest| rest.split_once('.'))
            .is_some_and(|(name, rest)| !name.is_empty() && behind.contains(&rest))
    };
    key == "metrics.reporters" || FAMILIES.iter().any(is_one)
}

/// Whether a table has the key, or a family (an entry that ends in a dot) of it.
fn listed(key: &str, table: &[&str]) -> bool {
    table.iter().any(|&entry| if entry.ends_with('.') { key.starts_with(entry) } else { key == entry })
}

/// The known key closest to `key`, unless even that one differs in more than a third of its letters.
fn nearest(key: &str, options: &[&dyn AnyOption]) -> Option<&'static str> {
    let candidates = options.iter().map(|option| option.key()).chain(NOT_YET.iter().copied());
    let (distance, nearest) = candidates.map(|candidate| (edit_distance(key, candidate), candidate)).min()?;
    (distance * 3 <= nearest.len()).then_some(nearest)
}

/// Fewest insertions, deletions and replacements of bytes that turn `a` into `b` (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::super::core_options::OPTIONS;
    use super::*;

    #[test]
    fn distances_are_levenshteins() {
        for (a, b, distance) in [("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("same", "same", 0)] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
            assert_eq!(edit_distance(b, a), distance, "{b} {a}");
        }
    }

    #[test]
    fn no_key_is_in_two_tables_and_none_twice() {
        let mut all: Vec<&str> = JVM_ONLY.iter().chain(NOT_YET).copied().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for key in NOT_YET {
            assert!(!listed(key, JVM_ONLY), "{key}");
        }
    }

    #[test]
    fn a_key_unlike_all_others_has_no_nearest() {
        assert!(matches!(classify("zzz", OPTIONS), KeyStatus::Unknown { nearest: None }));
        assert!(matches!(classify("parallelism.default", OPTIONS), KeyStatus::Obeyed(option) if option.key() == "parallelism.default"));
        assert!(matches!(classify("kubernetes.cluster-id", OPTIONS), KeyStatus::NotYet));
        for obeyed in ["metrics.reporters", "metrics.reporter.prom.port", "metrics.reporter.prom.factory.class"] {
            assert!(matches!(classify(obeyed, OPTIONS), KeyStatus::OfFamily), "{obeyed}");
        }
        for ignored in ["metrics.reporter.prom.interval", "metrics.reporter..port", "metrics.scope.jm"] {
            assert!(matches!(classify(ignored, OPTIONS), KeyStatus::NotYet), "{ignored}");
        }
        assert!(matches!(classify("classloader.resolve-order", OPTIONS), KeyStatus::JvmOnly));
    }
}
