//! Networks that others trained, in the files that their packages ship, against what the original frameworks compute
//! with them. `scripts/real-files` fetches the files, `scripts/real-files-truth.py` made the truth.

#[path = "../common/mod.rs"]
mod common;
mod english;
mod listing;
mod outputs;
mod refusals;
mod truth;
