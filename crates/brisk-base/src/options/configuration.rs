//! Values by key: what a configuration file, the command line and the program have set.

use super::known::{KeyStatus, classify};
use super::{AnyOption, ConfigOption, OptionValue};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::fmt;

/// Texts by key, in key order. Options not set here have their defaults.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// What has been set.
    values: BTreeMap<String, String>,
}

impl Configuration {
    /// A configuration in which everything has its default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads Flink's `config.yaml`: `key: value` lines, whole keys or nested by indentation, or both. `#` starts a comment; a value may stand in
    /// quotes; a list is `[a, b]`, or a line `- a` for each element.
    ///
    /// # Errors
    /// For a line that is none of these, and for a key that comes twice; with the line's number.
    pub fn from_yaml(text: &str) -> Result<Self> {
        let mut configuration = Self::new();
        // Keys that have others below them: how far each is indented, what it is called with all above it, and its line.
        let mut open: Vec<(usize, String, usize)> = Vec::new();
        let mut lists: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let fail = |what: &str| Error::user(format!("{what}: '{}'", line.trim())).context(format!("configuration, line {}", index + 1));
            let content = without_comment(line);
            if content.trim().is_empty() || content.trim() == "---" {
                continue;
            }
            let indent = content.len() - content.trim_start().len();
            if content[..indent].contains('\t') {
                return Err(fail("a tab cannot indent; use blanks"));
            }
            if let Some(element) = content.trim_start().strip_prefix("- ") {
                let Some((_, key, _)) = open.last().filter(|(outer, ..)| *outer <= indent) else {
                    return Err(fail("an element of a list belongs below a key"));
                };
                lists.entry(key.clone()).or_default().push(unquoted(element.trim()).to_owned());
                continue;
            }
            while let Some((_, key, line)) = open.pop_if(|(outer, ..)| *outer >= indent) {
                configuration.close(&key, &mut lists, line)?;
            }
            let Some((key, value)) = content.split_once(':').filter(|(_, value)| value.is_empty() || value.starts_with([' ', '\t'])) else {
                return Err(fail("expected 'key: value'"));
            };
            let (key, value) = (key.trim(), value.trim());
            if key.is_empty() || open.is_empty() && indent > 0 {
                return Err(fail("expected 'key: value', or a key with others below it"));
            }
            let key = open.last().map_or_else(|| key.to_owned(), |(_, outer, _)| format!("{outer}.{key}"));
            if value.is_empty() {
                open.push((indent, key, index + 1));
            } else if configuration.values.insert(key, listed(value)).is_some() {
                return Err(fail("this key is already set above"));
            }
        }
        while let Some((_, key, line)) = open.pop() {
            configuration.close(&key, &mut lists, line)?;
        }
        Ok(configuration)
    }

    /// Nothing more comes below a key.
    fn close(&mut self, key: &str, lists: &mut BTreeMap<String, Vec<String>>, line: usize) -> Result<()> {
        let place = || format!("configuration, line {line}");
        match lists.remove(key) {
            Some(elements) if self.values.insert(key.to_owned(), elements.join(";")).is_none() => Ok(()),
            Some(_) => Err(Error::user(format!("this key is already set above: '{key}'")).context(place())),
            None if self.values.keys().any(|set| set.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'))) => Ok(()),
            None => Err(Error::user(format!("expected 'key: value'; remove the line to get the default: '{key}:'")).context(place())),
        }
    }

    /// Takes one argument of the command line: `-Dkey=value`, or `key=value` when `-D` stood by itself.
    ///
    /// # Errors
    /// When the argument is no such pair.
    pub fn set_argument(&mut self, argument: &str) -> Result<()> {
        let pair = argument.strip_prefix("-D").unwrap_or(argument).trim();
        match pair.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                self.set_text(key.trim(), value.trim());
                Ok(())
            }
            _ => Err(Error::user(format!("'{argument}' sets no option: expected -Dkey=value"))),
        }
    }

    /// Sets an option.
    pub fn set<T: OptionValue>(&mut self, option: &ConfigOption<T>, value: T) -> &mut Self {
        self.set_text(option.key(), value.render())
    }

    /// Sets a key to a text, which is parsed when the option is read.
    pub fn set_text(&mut self, key: impl Into<String>, text: impl Into<String>) -> &mut Self {
        self.values.insert(key.into(), text.into());
        self
    }

    /// Puts an option back to its default.
    pub fn unset<T: OptionValue>(&mut self, option: &ConfigOption<T>) -> &mut Self {
        for key in option.keys() {
            self.values.remove(key);
        }
        self
    }

    /// The value of an option: as set by its key, by an older key, or its default.
    ///
    /// # Errors
    /// When the text is no value of the option's type.
    pub fn get<T: OptionValue>(&self, option: &ConfigOption<T>) -> Result<T> {
        for key in option.keys() {
            if let Some(text) = self.values.get(key) {
                return T::parse(text.trim()).ok_or_else(|| wrong_value(key, text, &T::form()));
            }
        }
        Ok(option.default_value())
    }

    /// Whether an option is set, by its key or an older one.
    pub fn contains<T: OptionValue>(&self, option: &ConfigOption<T>) -> bool {
        option.keys().any(|key| self.values.contains_key(key))
    }

    /// The text a key is set to.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Keys and texts, in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether everything has its default.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Sets all that `other` sets; where both do, `other` wins.
    pub fn extend(&mut self, other: &Self) -> &mut Self {
        self.values.extend(other.values.iter().map(|(key, value)| (key.clone(), value.clone())));
        self
    }

    /// Checks every key and value against the options that exist. Gives a sentence for each key that Flink has and Brisk does not obey.
    ///
    /// # Errors
    /// For a key that neither knows (naming the nearest one), and for a value of the wrong form.
    pub fn check(&self, options: &[&dyn AnyOption]) -> Result<Vec<String>> {
        let mut notices = Vec::new();
        for (key, text) in self.iter() {
            match classify(key, options) {
                KeyStatus::Obeyed(option) => option.check(text.trim()).map_err(|form| wrong_value(key, text, &form))?,
                KeyStatus::OfFamily => {}
                KeyStatus::NotYet => notices.push(format!("option '{key}' is Flink's but not implemented yet: it is ignored")),
                KeyStatus::JvmOnly => notices.push(format!("option '{key}' concerns the JVM, which Brisk does not have: it is ignored")),
                KeyStatus::Unknown { nearest } => {
                    let hint = nearest.map_or_else(String::new, |nearest| format!("; did you mean '{nearest}'?"));
                    return Err(Error::user(format!("there is no option '{key}'{hint}")));
                }
            }
        }
        Ok(notices)
    }
}

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.values.fmt(f)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Configuration {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self { values: pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect() }
    }
}

fn wrong_value(key: &str, text: &str, form: &str) -> Error {
    Error::user(format!("option '{key}' is set to '{text}': expected {form}"))
}

/// The line up to a `#` that stands at its start or after a blank, outside of quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match quote {
            None if c == '#' && before.is_whitespace() => return &line[..at],
            None if matches!(c, '"' | '\'') && before.is_whitespace() => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        before = c;
    }
    line
}

/// A value as it is, or the elements of a list, as Flink's lists are written in one line.
fn listed(value: &str) -> String {
    match value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(elements) => elements.split(',').map(|element| unquoted(element.trim())).collect::<Vec<_>>().join(";"),
        None => unquoted(value).to_owned(),
    }
}

fn unquoted(value: &str) -> &str {
    ['"', '\''].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::super::core_options::{AUTO_WATERMARK_INTERVAL, OPTIONS, PARALLELISM_DEFAULT};
    use super::*;
    use std::time::Duration;

    #[test]
    fn reads_flat_yaml() {
        let text = "# a comment\nparallelism.default: 4   # four\n\npipeline.name: 'my # job'\na.b: \"x: y\"\n";
        let configuration = Configuration::from_yaml(text).expect("well-formed");
        assert_eq!(configuration.get(&PARALLELISM_DEFAULT).expect("a number"), 4);
        assert_eq!(configuration.text("pipeline.name"), Some("my # job"));
        assert_eq!(configuration.text("a.b"), Some("x: y"));
    }

    #[test]
    fn reads_nested_keys_and_lists() {
        let text = "---\njobmanager:\n  # where it is\n  rpc:\n    address: localhost\n    port: 6123\n  memory.process.size: 1600m\nrest.port: 8081\n\
                    a:\n  list:\n    - one\n    - 'two'\n  other: [x, \"y\"]\nb: 1\n";
        let configuration = Configuration::from_yaml(text).expect("well-formed");
        let all: Vec<(&str, &str)> = configuration.iter().collect();
        let expected = [
            ("a.list", "one;two"),
            ("a.other", "x;y"),
            ("b", "1"),
            ("jobmanager.memory.process.size", "1600m"),
            ("jobmanager.rpc.address", "localhost"),
            ("jobmanager.rpc.port", "6123"),
            ("rest.port", "8081"),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn refuses_malformed_lines_by_number() {
        for (text, expected) in [
            ("  b: 2", "configuration, line 1: expected 'key: value'"),
            ("a:\n\tb: 2", "configuration, line 2: a tab cannot indent"),
            ("- b", "configuration, line 1: an element of a list belongs below a key"),
            ("a:\n  b: 1\na.b: 2", "configuration, line 3: this key is already set"),
            ("a:\nb: 1", "configuration, line 1: expected 'key: value'"),
            ("a", "configuration, line 1: expected 'key: value'"),
            ("a:b", "configuration, line 1: expected 'key: value'"),
            ("a:", "configuration, line 1: expected 'key: value'"),
            ("a: 1\na: 2", "configuration, line 2: this key is already set"),
        ] {
            let error = Configuration::from_yaml(text).expect_err(text).to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_wrong_value_is_explained() {
        let mut configuration = Configuration::new();
        configuration.set_argument("-Dparallelism.default=many").expect("a pair");
        let error = configuration.get(&PARALLELISM_DEFAULT).expect_err("no number").to_string();
        assert_eq!(error, "option 'parallelism.default' is set to 'many': expected a whole number from 0 to 4294967295");
        assert_eq!(configuration.check(OPTIONS).expect_err("no number").to_string(), error);
        configuration.set_argument("nothing").expect_err("no pair");
    }

    #[test]
    fn what_is_set_is_got_and_defaults_hold_otherwise() {
        let mut configuration = Configuration::new();
        assert_eq!(configuration.get(&AUTO_WATERMARK_INTERVAL).expect("default"), Duration::from_millis(200));
        configuration.set(&AUTO_WATERMARK_INTERVAL, Duration::from_secs(3));
        assert_eq!(configuration.text("pipeline.auto-watermark-interval"), Some("3 s"));
        assert_eq!(configuration.get(&AUTO_WATERMARK_INTERVAL).expect("set"), Duration::from_secs(3));
        assert!(configuration.contains(&AUTO_WATERMARK_INTERVAL));
        configuration.unset(&AUTO_WATERMARK_INTERVAL);
        assert!(configuration.is_empty());
    }

    #[test]
    fn older_keys_are_read_after_the_key_itself() {
        const OPTION: ConfigOption<u32> = ConfigOption::new("new.key", 1).aliases(&["old.key"]);
        let mut configuration: Configuration = [("old.key", "2")].into_iter().collect();
        assert_eq!(configuration.get(&OPTION).expect("by its old key"), 2);
        configuration.set(&OPTION, 3);
        assert_eq!(configuration.get(&OPTION).expect("by its key"), 3);
    }

    #[test]
    fn keys_are_checked() {
        let ignored: Configuration = [("restart-strategy.type", "none"), ("env.java.opts.all", "-Xmx1g")].into_iter().collect();
        let notices = ignored.check(OPTIONS).expect("both are Flink's");
        assert!(notices[0].contains("JVM") && notices[1].contains("not implemented yet"), "{notices:?}");
        let typo: Configuration = [("paralelism.default", "1")].into_iter().collect();
        let error = typo.check(OPTIONS).expect_err("no such key").to_string();
        assert_eq!(error, "there is no option 'paralelism.default'; did you mean 'parallelism.default'?");
    }
}
