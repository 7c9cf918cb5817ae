//! The contract of checkpoint storage.

use crate::server::Server;
use brisk_base::ErrorKind;

#[test]
fn a_folder_of_objects_keeps_the_contract() {
    let server = Server::start();
    let storage = server.folder("jobs/a");
    let other = server.folder("jobs/ab");
    other.publish("chk-1/x", b"another job's").unwrap();

    let large: Vec<u8> = (0..20_000_003_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut file = storage.create("chk-1/large").unwrap();
    large.chunks(1_000_000).for_each(|chunk| file.write(chunk).unwrap());
    assert_eq!(storage.list("").unwrap(), [], "nobody sees a file that is not finished");
    assert_eq!(file.finish().unwrap(), large.len() as u64);
    storage.publish("chk-1/_metadata", b"small").unwrap();
    storage.publish("shared/empty", b"").unwrap();

    let listed: Vec<_> = storage.list("").unwrap().into_iter().map(|file| (file.path, file.size)).collect();
    let expected = [("chk-1/_metadata", 5), ("chk-1/large", 20_000_003), ("shared/empty", 0)];
    assert_eq!(listed, expected.map(|(path, size)| (path.to_owned(), size)));
    let mut reader = storage.folder("chk-1").open("large").unwrap();
    for (offset, len) in [(0, 100), (7_999_990, 20), (16_000_000, 4_000_003)] {
        let mut into = vec![0; len];
        reader.read_at(offset as u64, &mut into).unwrap();
        assert!(into == large[offset..offset + len], "{len} bytes at {offset}");
    }
    assert_eq!(storage.read("shared/empty", 10).unwrap(), b"");

    drop(storage.create("chk-2/half").map(|mut file| file.write(&large)));
    let error = storage.read("chk-2/half", 100).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("s3://flights/jobs/a/chk-2/half"), "{error}");

    storage.delete_folder("chk-1").unwrap();
    storage.delete("shared/empty").unwrap();
    storage.delete("shared/empty").unwrap();
    assert_eq!(storage.list("").unwrap(), []);
    assert_eq!(other.read("chk-1/x", 100).unwrap(), b"another job's");
}

#[test]
fn a_bucket_that_is_not_there_is_named() {
    let server = Server::start();
    let storage = brisk_s3::open_with("s3://no-such-bucket/jobs", server.settings()).unwrap();
    let error = storage.publish("chk-1/_metadata", b"x").unwrap_err();
    assert!(error.to_string().contains("s3://no-such-bucket/jobs/chk-1/_metadata"), "{error}");
}
