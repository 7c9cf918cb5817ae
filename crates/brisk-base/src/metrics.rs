//! Metric handles: counters, gauges, meters and histograms that a task updates without locks and a reporter reads at any time.
