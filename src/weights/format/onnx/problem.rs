//! Why a constant is not read.

use std::io;

use super::wire::malformed;
use crate::error::Error;

/// Why a name has no constant that is read.
pub(super) enum Problem {
    /// The file is corrupt, or a second file can't be read.
    Error(Error),
    /// What it is instead, as the end of "W ".
    Unsupported(String),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

pub(super) fn unsupported<T>(reason: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Unsupported(reason.into()))
}

impl Problem {
    /// The same problem, for another one who asks: an operating system's error can't be cloned.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Unsupported(reason) => Self::Unsupported(reason.clone()),
            Self::Error(Error::UnsupportedFile { reason }) => {
                Self::Error(Error::UnsupportedFile { reason: reason.clone() })
            }
            Self::Error(Error::ReadFile { path, source }) => {
                let source = io::Error::new(source.kind(), source.to_string());
                Self::Error(Error::ReadFile { path: path.clone(), source })
            }
            Self::Error(Error::MalformedFile { format, reason }) => {
                Self::Error(Error::MalformedFile { format, reason: reason.clone() })
            }
            Self::Error(other) => Self::Error(malformed(other.to_string())),
        }
    }
}
