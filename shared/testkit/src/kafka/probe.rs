//! Whether a broker serves: it is asked for its metadata, in Kafka's protocol, and must name a broker.
//!
//! An open port says nothing, and a first line in a log little more. What a client needs is a metadata answer with a
//! broker in it; the few bytes of that question are written out here, so that a start costs no process per look and
//! testkit links no Kafka client.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// For a connection and for an answer. A broker that is just starting may take a connection and not answer yet.
const PATIENCE: Duration = Duration::from_secs(2);

const METADATA: [u8; 2] = 3_i16.to_be_bytes();
/// The oldest version whose question can say "no topics, please, and make none".
const VERSION: [u8; 2] = 4_i16.to_be_bytes();
const CORRELATION: [u8; 4] = 7_i32.to_be_bytes();
const NO_CLIENT_ID: [u8; 2] = (-1_i16).to_be_bytes();
const NO_TOPICS: [u8; 4] = 0_i32.to_be_bytes();
const MAKE_NONE: [u8; 1] = [0];

pub(super) fn answers(address: &str) -> bool {
    let address: SocketAddr = address.parse().expect("a broker's address is an address and a port");
    brokers(address).is_ok_and(|brokers| brokers > 0)
}

/// How many brokers the answer names.
fn brokers(address: SocketAddr) -> io::Result<i32> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request =
        [&METADATA[..], &VERSION[..], &CORRELATION[..], &NO_CLIENT_ID[..], &NO_TOPICS[..], &MAKE_NONE[..]].concat();
    let length = u32::try_from(request.len()).expect("a few bytes");
    stream.write_all(&[&length.to_be_bytes()[..], &request[..]].concat())?;
    // Length, correlation, throttle time, number of brokers: four bytes each.
    let mut answer = [0; 16];
    stream.read_exact(&mut answer)?;
    let [.., a, b, c, d] = answer;
    Ok(i32::from_be_bytes([a, b, c, d]))
}
