//! Not read yet.

use std::path::Path;

use super::Contents;
use crate::error::Error;

pub(in crate::weights) fn read<'a>(_: &'a [u8], _: Option<&'a Path>) -> Result<Contents<'a>, Error> {
    Err(Error::UnsupportedFile { reason: "not read yet".to_owned() })
}
