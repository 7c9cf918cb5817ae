//! Configuration: options declared once with type, unit, default and documentation, read from Flink's keys.
