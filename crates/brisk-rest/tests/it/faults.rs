//! What a client may do wrong, and what the server makes of it.

use crate::client::Served;
use brisk_base::world::Rng;
use std::io::{Read, Write};
use std::net::TcpStream;

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let served = Served::new(&[("rest.server.max-content-length", "1 kb")]);
    let body = format!(r#"{{"savepoint-path": "{}"}}"#, "x".repeat(5000));
    let (status, errors) = served.request("POST", "/savepoint-disposal", &body);
    assert_eq!(status, 413, "{errors}");
    assert_eq!(served.get("/overview").0, 200);
}

#[test]
fn bytes_that_are_no_request_do_no_harm() {
    let served = Served::new(&[]);
    let mut rng = Rng::seeded(11);
    let valid =
        b"POST /savepoint-disposal HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 24\r\n\r\n{\"savepoint-path\": \"/a\"}";
    for _ in 0..300 {
        let mut bytes = valid.to_vec();
        for _ in 0..=rng.below(8) {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] = rng.next_u64() as u8;
        }
        let end = if rng.one_in(4) { rng.below(bytes.len() as u64) as usize } else { bytes.len() };
        let (status, _) = served.raw(&bytes[..end], true);
        assert_ne!(status, 500, "{}", String::from_utf8_lossy(&bytes[..end]));
    }
    assert_eq!(served.get("/overview").0, 200);
}

#[test]
fn many_clients_are_served_at_once() {
    let served = Served::new(&[]);
    let mut clients: Vec<TcpStream> = (0..500).map(|_| TcpStream::connect(served.address()).expect("it is accepted")).collect();
    assert_eq!(served.get("/jobs/overview").0, 200, "while 500 others are connected");
    for client in &mut clients {
        client.write_all(b"GET /overview HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").expect("the server reads");
    }
    for mut client in clients {
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("the server answers");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("slots-total"), "{answer}");
    }
}

#[test]
fn it_binds_to_this_machine_only() {
    let served = Served::new(&[]);
    assert!(served.address().ip().is_loopback(), "{}", served.address());
}
