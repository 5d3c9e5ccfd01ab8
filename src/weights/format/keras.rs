//! Not read yet.

use super::Contents;
use crate::error::Error;

pub(in crate::weights) fn read(_: &[u8]) -> Result<Contents<'_>, Error> {
    Err(Error::UnsupportedFile { reason: "not read yet".to_owned() })
}
