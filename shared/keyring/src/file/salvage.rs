//! What somebody finds who has a root key and the raw bytes of a disk.
//!
//! To forget is to destroy keys, so the proof of it is a search for them: not in the file, which says what it says, but in
//! every sector, freed ones and old copies included. The search believes nothing that only whoever writes the file has to
//! keep to: no checksum, no order, no neighbours. It relies on two things: a file system keeps sectors whole, and a wrapped
//! key that was written at the beginning of a slot is found at the beginning of a slot. Whoever looks for more than that
//! (keys in an export, in RAM or in a core dump) has to look in other ways.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read};

use super::layout::{CHUNK, PLACE, Place, SLOT, Slot};
use crate::wrap::Wrapping;
use crate::{KeyId, Owner, Roots};

/// Where a wrapping key may begin: in every sector.
const SECTOR: usize = 512;

/// Looks through the bytes of a disk, of a partition or of a file for keys that these roots open: for every wrapping key that
/// one of them opens, and then for every key that one of those opens, wherever they lie. Answers whose keys came out, each
/// once. The image must begin where a sector does.
///
/// It holds every slot that might be a key in RAM until it has seen all wrapping keys, and reads the image once.
///
/// # Errors
/// When the image cannot be read.
pub fn salvage(mut image: impl Read, roots: &Roots) -> io::Result<Vec<(Owner, KeyId)>> {
    let (mut wrappings, mut slots) = (Vec::new(), Vec::new());
    let mut bytes = vec![0; CHUNK];
    loop {
        let filled = fill(&mut image, &mut bytes)?;
        if filled == 0 {
            break;
        }
        // What is behind the end of the image reads as zeros, which are nothing.
        bytes[filled..].fill(0);
        for sector in bytes.as_chunks::<SECTOR>().0 {
            if sector.iter().all(|byte| *byte == 0) {
                continue;
            }
            let place = Place::guess(sector.first_chunk::<PLACE>().expect("a place is shorter than a sector"));
            wrappings.extend(roots.iter().filter_map(|root| place.open(root).ok()));
            slots.extend(sector.as_chunks::<SLOT>().0.iter().filter_map(|slot| Slot::of(slot)));
        }
    }
    let opens = |slot: &Slot| wrappings.iter().any(|wrapping: &Wrapping| slot.open(wrapping).is_ok());
    let found: BTreeSet<_> = slots.iter().filter(|slot| opens(slot)).map(|slot| (slot.owner, slot.id)).collect();
    Ok(found.into_iter().collect())
}

/// Reads until the buffer is full or the image ends.
fn fill(image: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match image.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
