//! Command-line arguments, read by hand: `--flag`, `--option value` and names.
//!
//! Knows nothing about any command; an argument nobody declared is an error that lists what there is.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::str::FromStr;

/// The arguments of one command.
#[derive(Debug, Default)]
pub(crate) struct Args {
    /// Arguments without dashes, in order.
    pub(crate) names: Vec<String>,
    /// Options with their value; flags have an empty one.
    options: BTreeMap<String, String>,
}

impl Args {
    /// Reads `raw`, accepting `flags` (without value) and `options` (with one).
    pub(crate) fn parse(raw: impl IntoIterator<Item = String>, flags: &[&str], options: &[&str]) -> Result<Self> {
        let mut args = Self::default();
        let mut raw = raw.into_iter();
        while let Some(arg) = raw.next() {
            let Some(stripped) = arg.strip_prefix("--") else {
                args.names.push(arg);
                continue;
            };
            let (name, inline) = match stripped.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (stripped, None),
            };
            let value = if flags.contains(&name) {
                inline.unwrap_or_default()
            } else if options.contains(&name) {
                inline.or_else(|| raw.next()).with_context(|| format!("--{name} needs a value"))?
            } else {
                bail!("unknown option --{name}; there are: {}", listed(flags, options));
            };
            args.options.insert(name.to_string(), value);
        }
        Ok(args)
    }

    /// Whether a flag (or an option) was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.options.contains_key(name)
    }

    /// The text of an option.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// The value of an option, parsed.
    pub(crate) fn value<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.replace('_', "").parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => bail!("--{name} {text}: not a valid value"),
        }
    }
}

fn listed(flags: &[&str], options: &[&str]) -> String {
    let options = options.iter().map(|o| format!("--{o} VALUE"));
    flags.iter().map(|f| format!("--{f}")).chain(options).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args> {
        Args::parse(line.split_whitespace().map(String::from), &["json"], &["seeds"])
    }

    #[test]
    fn reads_names_flags_and_options() {
        let args = parse("window --json --seeds 1_000 words").unwrap();
        assert_eq!(args.names, ["window", "words"]);
        assert!(args.has("json"));
        assert_eq!(args.value::<u64>("seeds").unwrap(), Some(1000));
        assert_eq!(parse("--seeds=7").unwrap().value::<u64>("seeds").unwrap(), Some(7));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let error = parse("--fast").unwrap_err().to_string();
        assert!(error.contains("--fast") && error.contains("--seeds VALUE"), "{error}");
        assert!(parse("--seeds").unwrap_err().to_string().contains("needs a value"));
        assert!(parse("--seeds many").unwrap().value::<u64>("seeds").is_err());
    }
}
