//! Not read yet.

use std::path::Path;

use super::Contents;
use crate::error::Error;

pub(super) const FROM_FILE_ALONE: &str =
    "a PyTorch checkpoint is read from a path alone: call LstmWeights::from_file";

pub(in crate::weights) fn read(_: &Path) -> Result<Contents<'static>, Error> {
    Err(Error::UnsupportedFile { reason: "not read yet".to_owned() })
}
