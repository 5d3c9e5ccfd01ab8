//! What every target of a file reader checks: reading returns, takes memory in proportion to the file, and gives what was
//! listed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use wgpu_lstm::{Error, FoundLstm, LstmWeights, find_lstms};

/// Counts the bytes that are allocated.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The bytes of a field of a compound type in `hdf5-reader`, which reserves room for as many fields as a type claims to
/// have: up to 65,535, in up to 33 types in each other. It writes only those that the file has.
const FIELD: usize = 72;
/// Fewer fields are counted.
const FEW_FIELDS: usize = 1 << 10;

/// The bytes that count of an allocation. What is only reserved, and never written, takes no memory.
fn counted(layout: Layout) -> usize {
    let bytes = layout.size();
    if bytes.is_multiple_of(FIELD) && (FEW_FIELDS..1 << 16).contains(&(bytes / FIELD)) { 0 } else { bytes }
}

// SAFETY: every call is the system allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let bytes = counted(layout);
        PEAK.fetch_max(NOW.fetch_add(bytes, Relaxed) + bytes, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(counted(layout), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How much memory a reader may take.
#[derive(Clone, Copy)]
pub struct Bound {
    /// Whatever the file is: buffers of decompressors, caches, lists of names.
    pub constant: usize,
    /// For each byte of the file.
    pub growth: usize,
}

/// Runs a reader of a file of `bytes`.
fn bounded<T>(bytes: usize, Bound { constant, growth }: Bound, read: impl FnOnce() -> T) -> T {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = read();
    let peak = PEAK.load(Relaxed) - before;
    assert!(peak <= constant + growth * bytes, "{peak} bytes of memory for a file of {bytes} bytes");
    result
}

/// Lists the networks and reads each. `bytes` is the length of the file.
pub fn list_and_read(
    bytes: usize,
    bound: Bound,
    find: impl FnOnce() -> Result<Vec<FoundLstm>, Error>,
    read: impl Fn(&str) -> Result<LstmWeights, Error>,
) {
    let found = bounded(bytes, bound, find);
    let _ = bounded(bytes, bound, || read(""));
    let found = match found {
        Ok(found) => found,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for lstm in found.iter().take(4) {
        let weights = bounded(bytes, bound, || read(&lstm.prefix));
        match (&lstm.config, weights) {
            (Ok(config), Ok(weights)) => {
                assert_eq!(weights.config(), config);
                round_trip(&weights);
            }
            // Values are read only now, and a prefix without a dot at its end is a guess.
            (Ok(_), Err(error)) | (Err(_), Err(error)) => assert!(!error.to_string().is_empty()),
            (Err(listed), Ok(_)) => panic!("{:?} was refused: {listed}, and is read", lstm.prefix),
        }
    }
}

/// As [`list_and_read`], of a file that is read from its bytes.
#[allow(dead_code, reason = "the target pytorch reads from a path")]
pub fn list_and_read_bytes(file: &[u8], bound: Bound) {
    list_and_read(file.len(), bound, || find_lstms(file), |prefix| LstmWeights::from_bytes(file, prefix));
}

/// Compares the bytes of two files, since NaN equals nothing.
fn round_trip(weights: &LstmWeights) {
    let file = weights.to_safetensors("a.").expect("a file");
    let again = LstmWeights::from_safetensors(&file, "a.").expect("what was written is read");
    assert_eq!(again.to_safetensors("a.").expect("a file"), file);
}
