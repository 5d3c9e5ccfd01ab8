//! The bytes of a file, which the parser can read only so often: a file whose parts overlap or refer to each other in
//! circles then takes no more memory and time than a small multiple of its length.
//!
//! One thing is not counted: while the parser reads a compound type, it reserves 72 bytes for each field that the type
//! claims to have, at most 65,535, in up to 33 types in each other. Only the fields that the file has are written there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hdf5_reader::Storage;
use hdf5_reader::error::Error as Hdf5Error;
use hdf5_reader::storage::StorageBuffer;

/// Bytes that may be read to list what is in a file, and again for each tensor: so many times its length, and some
/// more. All memory and time of the parser is in proportion to the bytes that it reads.
const READ_TIMES: u64 = 2;
const READ_MORE: u64 = 1 << 20;

/// Bytes of a layer's tensors, likewise: they can be compressed.
const TENSORS_TIMES: usize = 4;
const TENSORS_MORE: usize = 1 << 18;

/// An object's header of version 1 begins with its version, a zero, and how many messages it says it has. The parser
/// allocates so many, of 144 bytes each, and keeps them as long as the file is open, even if there are fewer.
const HEADER_START: usize = 16;
const MESSAGE: usize = 144;
/// Messages that are not counted. Real headers have some ten.
const USUAL_MESSAGES: usize = 256;

/// The bytes of a file, of which only so many are read.
pub(super) struct Metered {
    bytes: Vec<u8>,
    /// What is bounded is so in proportion to this length: that of the file, or of the archive that it is from.
    length: usize,
    left: AtomicU64,
}

impl Metered {
    pub(super) fn new(bytes: Vec<u8>, length: usize) -> Self {
        let metered = Self { bytes, length, left: AtomicU64::new(0) };
        metered.refill();
        metered
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes that the tensors of a layer may have.
    pub(super) fn most_tensors(&self) -> usize {
        self.length.saturating_mul(TENSORS_TIMES).saturating_add(TENSORS_MORE)
    }

    fn budget(&self) -> u64 {
        (self.length as u64).saturating_mul(READ_TIMES).saturating_add(READ_MORE)
    }

    /// Lets as many bytes be read again.
    pub(super) fn refill(&self) {
        self.left.store(self.budget(), Ordering::Relaxed);
    }

    /// Counts bytes that are read.
    pub(super) fn charge(&self, bytes: usize) -> Result<(), Hdf5Error> {
        let left = self.left.load(Ordering::Relaxed);
        let Some(left) = left.checked_sub(bytes as u64) else {
            let reason =
                format!("its parts overlap or lie: reading them takes more than {} bytes", self.budget());
            return Err(Hdf5Error::ResourceLimit(reason));
        };
        self.left.store(left, Ordering::Relaxed);
        Ok(())
    }
}

/// What the parser holds of the bytes.
pub(super) struct Shared(pub(super) Arc<Metered>);

impl AsRef<[u8]> for Metered {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Storage for Shared {
    fn len(&self) -> u64 {
        self.0.bytes.len() as u64
    }

    fn read_range(&self, offset: u64, len: usize) -> Result<StorageBuffer, Hdf5Error> {
        self.0.charge(len)?;
        let start = usize::try_from(offset).map_err(|_| Hdf5Error::OffsetOutOfBounds(offset))?;
        let owner: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::clone(&self.0) as _;
        let buffer = StorageBuffer::from_shared_owner(owner, start, len)?;
        if let [1, _, low, high, ..] = *buffer.as_ref()
            && len == HEADER_START
        {
            let messages = usize::from(u16::from_le_bytes([low, high]));
            self.0.charge(messages.saturating_sub(USUAL_MESSAGES) * MESSAGE)?;
        }
        Ok(buffer)
    }
}
