//! Metadata that were written are read; damaged ones are refused; golden files stay readable.

use super::*;
use crate::checkpoint_storage::MemoryStorage;
use crate::snapshot::{
    CanonicalHandle, GroupPart, ItemBlock, KeyedHandle, NativeHandle, OperatorStateHandle, OperatorSubtaskState, StateData, StatePart,
};
use brisk_base::ids::{CheckpointId, JobId, OperatorId, VertexId};
use brisk_base::world::Rng;
use brisk_base::{ErrorKind, Timestamp};
use brisk_core::checkpoint::SnapshotKind;
use brisk_core::state::{FileRef, KeyedStateMeta, Layout, NativeFile, NativeState, Redistribution, StateKind};
use brisk_core::types::{Field, KeyGroup, KeyGroupRange, Schema};
use std::path::PathBuf;

fn file(path: &str) -> FileRef {
    FileRef { path: path.to_owned(), size: 1 << 40, checksum: 0x0123_4567_89ab_cdef }
}

fn meta() -> KeyedStateMeta {
    let fields = vec![Field::new("id", Schema::Int { bits: 64, signed: false }), Field::new("name", Schema::String)];
    KeyedStateMeta {
        name: "seen".into(),
        kind: StateKind::Map,
        layout: Layout::NamespaceMajor,
        key: Schema::String,
        namespace: Schema::Tuple(vec![Schema::Timestamp, Schema::Timestamp]),
        value: Schema::Struct { name: "Order".to_owned(), fields },
        map_key: Some(Schema::Int { bits: 32, signed: true }),
    }
}

/// A checkpoint in which everything occurs.
fn sample() -> CheckpointMetadata {
    let canonical = CanonicalHandle {
        data: StateData::File(file("chk-9/task")),
        range: KeyGroupRange::new(3, 9),
        states: vec![StatePart { meta: meta(), groups: vec![GroupPart { group: KeyGroup(4), offset: 8, length: 300, entries: 7 }] }],
    };
    let native = NativeHandle {
        state: NativeState {
            backend: "rocksdb".to_owned(),
            range: KeyGroupRange::new(0, 64),
            files: vec![NativeFile { name: "000012.sst".to_owned(), file: file("shared/x"), shared: true }],
            meta: vec![0, 255],
        },
        states: vec![meta()],
        range: KeyGroupRange::new(5, 6),
    };
    let items = OperatorStateHandle {
        name: "splits".into(),
        redistribution: Redistribution::Union,
        schema: Schema::Bytes,
        data: StateData::Inline([1, 2, 3].as_slice().into()),
        blocks: vec![ItemBlock { offset: 0, length: 3, items: 2 }],
        first: 1,
        count: 1,
    };
    let state = OperatorSubtaskState {
        keyed: vec![KeyedHandle::Canonical(canonical), KeyedHandle::Native(native)],
        operator: vec![items],
        finished: false,
        watermark: Timestamp::MIN,
    };
    CheckpointMetadata {
        checkpoint: CheckpointId(9),
        kind: SnapshotKind::StopWithSavepoint { drain: true },
        timestamp: Timestamp(1_700_000_000_123),
        job_id: JobId(77),
        job_name: "orders".to_owned(),
        written_by: "0.1.0".to_owned(),
        hash_version: 1,
        operators: vec![OperatorMetadata {
            id: OperatorId(u128::MAX),
            uid: Some("count".to_owned()),
            name: "Count".to_owned(),
            parallelism: 2,
            max_parallelism: 128,
            subtasks: vec![state, OperatorSubtaskState { finished: true, ..OperatorSubtaskState::default() }],
            coordinator: Some(vec![9, 9]),
        }],
        channels: vec![VertexChannels {
            vertex: VertexId(3),
            channels: vec![ChannelState { key: vec![1], data: StateData::Inline([5].as_slice().into()) }],
        }],
        master: vec![MasterState { name: "hook".to_owned(), version: 3, bytes: vec![] }],
        properties: vec![("checkpoint.reason".to_owned(), "test".to_owned())],
    }
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

#[test]
fn what_was_written_is_read() {
    assert_eq!(read(&write(&sample())).expect("it was just written"), sample());
    let storage = MemoryStorage::new();
    write_to(&storage, "chk-9", &sample()).expect("there is room");
    assert_eq!(read_from(&storage, "chk-9").expect("it was just written"), sample());
    assert_eq!(sample().files().count(), 2);
}

/// The file of version 1 stays readable for ever. It is written anew (by hand, with `BRISK_WRITE_GOLDEN=1`) only for a new version.
#[test]
fn the_golden_file_of_version_1_is_read() {
    let path = golden("metadata-1.bin");
    if std::env::var_os("BRISK_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, write(&sample())).expect("the folder is there");
    }
    let bytes = std::fs::read(path).expect("the golden file is part of the repository");
    assert_eq!(read(&bytes).expect("it is whole"), sample());
    assert_eq!(write(&sample()), bytes, "the format has changed: give it a new version, and keep reading this one");
}

#[test]
fn damaged_files_are_refused() {
    let bytes = write(&sample());
    let mut rng = Rng::seeded(11);
    for _ in 0..10_000 {
        let mut damaged = bytes.clone();
        match rng.below(4) {
            0 => damaged.truncate(rng.below(bytes.len() as u64) as usize),
            1 => damaged.extend((0..=rng.below(9)).map(|_| rng.next_u64() as u8)),
            _ => {
                for _ in 0..=rng.below(3) {
                    damaged[rng.below(bytes.len() as u64) as usize] ^= 1 << rng.below(8);
                }
            }
        }
        match read(&damaged) {
            Ok(metadata) => assert_eq!(metadata, sample()),
            Err(error) => assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::User) && error.message().len() > 20, "{error}"),
        }
    }
}

/// What lies behind the checksum is read with as little trust.
#[test]
fn bodies_of_any_bytes_neither_panic_nor_take_memory() {
    let body = crate::wire::to_bytes(&sample());
    let mut rng = Rng::seeded(12);
    for _ in 0..10_000 {
        let mut damaged = body.clone();
        for _ in 0..=rng.below(4) {
            damaged[rng.below(body.len() as u64) as usize] = rng.next_u64() as u8;
        }
        damaged.truncate(rng.below(body.len() as u64 + 1) as usize);
        drop(crate::wire::from_bytes::<CheckpointMetadata>(&damaged));
    }
}

#[test]
fn errors_name_the_file() {
    let storage = MemoryStorage::new();
    let error = read_from(&storage, "chk-9").expect_err("there is none").to_string();
    assert_eq!(error, "file 'memory:/chk-9/_metadata': the file is missing");
    write_to(&storage, "chk-9", &sample()).expect("there is room");
    storage.damage("chk-9/_metadata", |bytes| bytes[40] ^= 1);
    let error = read_from(&storage, "chk-9").expect_err("it is damaged").to_string();
    assert!(error.starts_with("file 'memory:/chk-9/_metadata': the metadata are damaged: "), "{error}");
}
