//! How a component declares its options.

use super::OptionValue;
use std::fmt;

/// One option: its key, default and documentation. Make it with [`options!`](crate::options!).
pub struct ConfigOption<T: OptionValue> {
    /// The key, Flink's where Flink has the concept.
    key: &'static str,
    /// What holds when nothing is set.
    default: T::Default,
    /// Older keys, read when the key itself is not set.
    aliases: &'static [&'static str],
    /// What it does, for the reference page.
    doc: &'static str,
}

impl<T: OptionValue> ConfigOption<T> {
    /// An option with this key and default.
    pub const fn new(key: &'static str, default: T::Default) -> Self {
        Self { key, default, aliases: &[], doc: "" }
    }

    /// The same option with documentation.
    #[must_use]
    pub const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// The same option, also read from these older keys.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The key.
    pub const fn key(&self) -> &'static str {
        self.key
    }

    /// What holds when nothing is set.
    pub fn default_value(&self) -> T {
        T::from_default(self.default)
    }

    /// The key and the older keys, in the order in which they are looked up.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.key).chain(self.aliases.iter().copied())
    }
}

impl<T: OptionValue> fmt::Debug for ConfigOption<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigOption({})", self.key)
    }
}

/// An option of any type, for lists and for the reference page.
pub trait AnyOption: Sync {
    /// The key.
    fn key(&self) -> &'static str;
    /// Older keys that are read too.
    fn aliases(&self) -> &'static [&'static str];
    /// Flink's word for the type: `Integer`, `Duration`, ...
    fn type_name(&self) -> String;
    /// The default as one would write it.
    fn default_text(&self) -> String;
    /// What it does.
    fn doc(&self) -> &'static str;
    /// Whether `text` is a value of this option.
    ///
    /// # Errors
    /// With what was expected.
    fn check(&self, text: &str) -> Result<(), String>;
}

impl<T: OptionValue> AnyOption for ConfigOption<T> {
    fn key(&self) -> &'static str {
        self.key
    }

    fn aliases(&self) -> &'static [&'static str] {
        self.aliases
    }

    fn type_name(&self) -> String {
        T::type_name()
    }

    fn default_text(&self) -> String {
        self.default_value().render()
    }

    fn doc(&self) -> &'static str {
        self.doc.trim()
    }

    fn check(&self, text: &str) -> Result<(), String> {
        T::parse(text).map(|_| ()).ok_or_else(T::form)
    }
}

/// Declares options as constants, and `OPTIONS`, the list of them all.
///
/// ```
/// brisk_base::options! {
///     /// How often the tea is stirred.
///     pub STIR_INTERVAL: std::time::Duration = "tea.stir.interval", std::time::Duration::from_millis(200);
///     /// Which cup it is poured into.
///     pub CUP: Option<String> = "tea.cup", None, aliases ["tea.mug"];
/// }
/// assert_eq!(OPTIONS.len(), 2);
/// assert_eq!(OPTIONS[0].doc(), "How often the tea is stirred.");
/// assert_eq!(OPTIONS[1].default_text(), "(none)");
/// ```
#[macro_export]
macro_rules! options {
    ($($(#[doc = $doc:literal])+ pub $name:ident: $type:ty = $key:literal, $default:expr $(, aliases [$($alias:literal),*])?;)*) => {
        $(
            $(#[doc = $doc])+
            #[doc = ""]
            #[doc = concat!("Key: `", $key, "`.")]
            pub const $name: $crate::options::ConfigOption<$type> =
                $crate::options::ConfigOption::<$type>::new($key, $default).doc(concat!($($doc),+))$(.aliases(&[$($alias),*]))?;
        )*

        /// Every option declared here, in order.
        pub static OPTIONS: &[&dyn $crate::options::AnyOption] = &[$(&$name),*];
    };
}

/// Declares an enum that is the value of an option. The first word of each variant is the one that is written.
///
/// ```
/// brisk_base::option_enum! {
///     /// How to wait.
///     pub enum Patience {
///         /// Not at all.
///         None = "none" | "off",
///         /// Till the end.
///         Endless = "endless",
///     }
/// }
/// use brisk_base::options::OptionValue;
/// assert_eq!(Patience::parse("OFF"), Some(Patience::None));
/// assert_eq!(Patience::Endless.render(), "endless");
/// ```
#[macro_export]
macro_rules! option_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal $(| $other:literal)*),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name {
            $($(#[$variant_meta])* $variant),+
        }

        impl $crate::options::OptionValue for $name {
            type Default = Self;

            fn parse(text: &str) -> Option<Self> {
                $(if [$text $(, $other)*].iter().any(|word| word.eq_ignore_ascii_case(text)) {
                    return Some(Self::$variant);
                })+
                None
            }

            fn render(&self) -> String {
                match self {
                    $(Self::$variant => $text,)+
                }
                .to_owned()
            }

            fn from_default(default: Self) -> Self {
                default
            }

            fn type_name() -> String {
                "Enum".to_owned()
            }

            fn form() -> String {
                concat!("one of" $(, " '", $text, "'")+).to_owned()
            }
        }
    };
}
