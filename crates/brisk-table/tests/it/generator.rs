//! The made-up changelog: valid, repeatable, and independent of how it is read.

use crate::driver::{Driver, shown};
use brisk_base::{Millis, Timestamp};
use brisk_core::batch::{Columns, Segment};
use brisk_core::element::Element;
use brisk_core::operator::{OperatorFactory, SourcePoll};
use brisk_core::source::{CoordinatorContext, SourceEvent};
use brisk_core::types::Record;
use brisk_table::fold_changelog;
use brisk_table::operators::changelog_generator::{ChangelogGenerator, ChangelogGeneratorConfig, GeneratorSplit, OrderChanges};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn config() -> ChangelogGeneratorConfig {
    ChangelogGeneratorConfig { rows: 900, splits: 3, keys: 20, batch_rows: 50, ..ChangelogGeneratorConfig::default() }
}

/// Everything that one reader of these splits gives.
fn read(config: &ChangelogGeneratorConfig, splits: impl IntoIterator<Item = GeneratorSplit>) -> Vec<Element> {
    let mut driver = Driver::new(&ChangelogGenerator::new(config.clone()).expect("a good configuration"));
    assert_eq!(driver.call(|operator, cx| operator.poll_source(cx)).expect("polls"), SourcePoll::Waiting);
    let splits = splits.into_iter().map(|split| {
        let mut bytes = Vec::new();
        split.encode(&mut bytes);
        bytes
    });
    let events = [SourceEvent::AddSplits(splits.collect()), SourceEvent::NoMoreSplits];
    events.into_iter().for_each(|event| driver.call(|operator, cx| operator.handle_event(event, cx)).expect("knows the event"));
    while driver.call(|operator, cx| operator.poll_source(cx)).expect("polls") == SourcePoll::More {}
    driver.elements()
}

fn split(index: u32) -> GeneratorSplit {
    GeneratorSplit { index, read: 0 }
}

fn batches(elements: Vec<Element>) -> Vec<Columns> {
    let batch = |element| match element {
        Element::Batch(batch) => Some(Columns::from_any(batch).expect("columns")),
        _ => None,
    };
    elements.into_iter().filter_map(batch).collect()
}

proptest! {
    #[test]
    fn no_row_is_late_and_every_change_is_valid(seed in any::<u64>(), delay in 0i64..50, text_keys in any::<bool>(), changes in any::<bool>()) {
        let config = ChangelogGeneratorConfig { seed, out_of_orderness: Millis(delay), text_keys, changes, ..config() };
        let batches = batches(read(&config, (0..3).map(split)));
        let mut watermark = Timestamp::MIN;
        for batch in &batches {
            let types: Vec<_> = batch.columns.iter().map(|column| column.data_type().clone()).collect();
            prop_assert_eq!(types, config.schema().fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>());
            for segment in batch.segments() {
                match segment {
                    Segment::Watermark(next) => { prop_assert!(next > watermark); watermark = next; }
                    Segment::Rows(rows) => prop_assert!(rows.into_iter().all(|row| batch.timestamp(row) > watermark)),
                }
            }
        }
        prop_assert!(watermark > Timestamp(0), "it advances");
        let rows: usize = batches.iter().map(|batch| batch.rows).sum();
        prop_assert!((900..=903).contains(&rows));
        let kinds: BTreeSet<_> = batches.iter().flat_map(|batch| (0..batch.rows).map(|row| batch.kind(row))).collect();
        prop_assert_eq!(kinds.len(), if changes { 4 } else { 1 });
        let table = fold_changelog(&batches).expect("no row is taken back that is not there");
        let all = (0..3).flat_map(|index| OrderChanges::new(&config, index));
        prop_assert_eq!(table.values().sum::<i64>(), all.map(|change| change.kind.sign()).sum::<i64>());
    }
}

#[test]
fn batch_sizes_change_nothing_but_the_batches() {
    let with = |batch_rows| shown(read(&ChangelogGeneratorConfig { batch_rows, splits: 1, ..config() }, [split(0)]));
    assert_eq!(with(7), with(4096));
    assert_ne!(with(7), shown(read(&ChangelogGeneratorConfig { seed: 2, splits: 1, ..config() }, [split(0)])), "but the seed does");
}

#[test]
fn a_split_goes_on_where_it_was_left() {
    let config = ChangelogGeneratorConfig { splits: 1, ..config() };
    let rows = |elements| shown(elements).into_iter().filter(|line| !line.starts_with("watermark")).collect::<Vec<_>>();
    let whole = rows(read(&config, [split(0)]));
    assert_eq!(rows(read(&config, [GeneratorSplit { index: 0, read: 234 }])), whole[234..]);
}

#[test]
fn splits_are_dealt_out_by_number() {
    let source = ChangelogGenerator::new(ChangelogGeneratorConfig { splits: 5, ..config() }).expect("a good configuration");
    let mut coordinator = source.coordinator(2, None).expect("no need of anything").expect("a source has one");
    let mut cx = CoordinatorContext::default();
    coordinator.start(&mut cx).expect("starts");
    (0..2).for_each(|reader| coordinator.add_reader(reader, &mut cx).expect("known"));
    let splits = |event: &SourceEvent| if let SourceEvent::AddSplits(splits) = event { splits.len() } else { 0 };
    let sizes: Vec<_> = cx.to_subtasks.iter().map(|(to, event)| (*to, splits(event))).collect();
    assert_eq!(sizes, [(0, 3), (0, 0), (1, 2), (1, 0)]);
}

#[test]
fn settings_out_of_range_are_refused() {
    let refused = |config| ChangelogGenerator::new(config).expect_err("out of range").message().to_owned();
    assert_eq!(refused(ChangelogGeneratorConfig { splits: 0, ..config() }), "changelog-generator: 'splits' is 0; set it to 1 or more");
    assert_eq!(refused(ChangelogGeneratorConfig { keys: 0, ..config() }), "changelog-generator: 'keys' is 0; set it to 1 or more");
    let rows = refused(ChangelogGeneratorConfig { batch_rows: 5000, ..config() });
    assert_eq!(rows, "changelog-generator: 'batch_rows' is 5000; set it between 1 and 4096");
}

#[test]
fn the_changelog_goes_on_from_a_checkpoint() {
    let source = ChangelogGenerator::new(config()).expect("a good configuration");
    let whole = shown(read(&config(), (0..3).map(split)));
    for polls in [0, 1, 5, 17, 100] {
        let mut driver = Driver::new(&source);
        let add = |driver: &mut Driver, event| driver.call(|operator, cx| operator.handle_event(event, cx)).expect("knows the event");
        let splits = (0..3).map(|index| {
            let mut bytes = Vec::new();
            split(index).encode(&mut bytes);
            bytes
        });
        add(&mut driver, SourceEvent::AddSplits(splits.collect()));
        for _ in 0..polls {
            driver.call(|operator, cx| operator.poll_source(cx)).expect("polls");
        }
        let left = driver.snapshot(brisk_base::ids::CheckpointId(1));
        let before = driver.elements();
        driver.call(|operator, cx| operator.poll_source(cx)).expect("polls");
        driver.elements();
        driver = driver.restored(left, &source);
        add(&mut driver, SourceEvent::NoMoreSplits);
        while driver.call(|operator, cx| operator.poll_source(cx)).expect("polls") == SourcePoll::More {}
        let all = before.into_iter().chain(driver.elements()).collect();
        assert_eq!(shown(all), whole, "{polls} polls");
    }
}

#[test]
fn splits_that_readers_have_are_not_dealt_out_again() {
    let source = ChangelogGenerator::new(config()).expect("a good configuration");
    let mut coordinator = source.coordinator(3, None).expect("no need of anything").expect("a source has one");
    let mut cx = CoordinatorContext::default();
    coordinator.start(&mut cx).expect("starts");
    coordinator.add_reader(0, &mut cx).expect("known");
    let state = coordinator.snapshot().expect("no failure");
    let mut restored = source.coordinator(1, Some(&state)).expect("its own state").expect("a source has one");
    let mut cx = CoordinatorContext::default();
    restored.start(&mut cx).expect("starts");
    restored.add_reader(0, &mut cx).expect("known");
    let given: Vec<_> = cx
        .to_subtasks
        .iter()
        .filter_map(|(_, event)| if let SourceEvent::AddSplits(splits) = event { Some(splits.len()) } else { None })
        .collect();
    assert_eq!(given, [2], "the first of three has a reader");
}
