//! Operators found by name: what SQL plans and other serialized jobs are built from, instead of closures.

use crate::operator::{OperatorFactory, OperatorSpec};
use brisk_base::{Error, Result, ResultExt};
use std::collections::BTreeMap;
use std::sync::Arc;

type Constructor = Arc<dyn Fn(&[u8]) -> Result<Arc<dyn OperatorFactory>> + Send + Sync>;

/// Constructors of operators by name. Filled once at start-up; cheap to clone.
#[derive(Clone, Default)]
pub struct OperatorRegistry {
    constructors: BTreeMap<String, Constructor>,
}

impl OperatorRegistry {
    /// Adds an operator: `constructor` reads the serialized configuration. A name registered twice keeps the last.
    pub fn register<F>(&mut self, name: &str, constructor: impl Fn(&[u8]) -> Result<F> + Send + Sync + 'static)
    where
        F: OperatorFactory + 'static,
    {
        let constructor = move |config: &[u8]| -> Result<Arc<dyn OperatorFactory>> { Ok(Arc::new(constructor(config)?)) };
        self.constructors.insert(name.to_owned(), Arc::new(constructor));
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.constructors.keys().map(String::as_str)
    }

    /// The factory that a graph's operator asks for.
    ///
    /// # Errors
    /// When the name is unknown, or the constructor refuses its configuration.
    pub fn resolve(&self, spec: &OperatorSpec) -> Result<Arc<dyn OperatorFactory>> {
        match spec {
            OperatorSpec::Factory(factory) => Ok(Arc::clone(factory)),
            OperatorSpec::Registered { name, config } => match self.constructors.get(name) {
                Some(constructor) => constructor(config).context(|| format!("configuration of the registered operator '{name}'")),
                None => {
                    let known: Vec<_> = self.names().collect();
                    Err(Error::user(format!("no operator is registered as '{name}'; known: {}", known.join(", "))))
                }
            },
        }
    }
}
