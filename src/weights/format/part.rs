//! Parts of a file that are read when they are needed: a model can have much more than the LSTM.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// A file of known length, which is open only while a part of it is read.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Parts {
    path: PathBuf,
    len: u64,
}

impl Parts {
    /// # Errors
    ///
    /// [`Error::ReadFile`]: there is no such file, or it is a folder, a pipe or a device.
    pub(super) fn of(path: &Path) -> Result<Self, Error> {
        let metadata = path.metadata().map_err(|source| failed(path, source))?;
        if !metadata.is_file() {
            return Err(failed(path, io::Error::other("it is no regular file")));
        }
        Ok(Self { path: path.to_owned(), len: metadata.len() })
    }

    /// The length of the file when it was found.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Reads `length` bytes from byte `start` on.
    ///
    /// # Errors
    ///
    /// [`Error::ReadFile`]: the file can't be read, or has another length than before.
    pub(super) fn read(&self, start: u64, length: usize) -> Result<Vec<u8>, Error> {
        self.try_read(start, length).map_err(|source| failed(&self.path, source))
    }

    fn try_read(&self, start: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        let len = file.metadata()?.len();
        if len != self.len {
            return Err(io::Error::other(format!("it had {} bytes, and now has {len}", self.len)));
        }
        file.seek(SeekFrom::Start(start))?;
        let mut bytes =
            bytemuck::try_zeroed_vec(length).map_err(|()| io::Error::from(io::ErrorKind::OutOfMemory))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::ReadFile { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::Parts;
    use crate::error::Error;

    #[test]
    fn a_part_of_a_file_that_stays_as_it_is() {
        let path = std::env::temp_dir().join(format!("wgpu-lstm-parts-{}", std::process::id()));
        std::fs::write(&path, b"0123456789").unwrap();
        let parts = Parts::of(&path).unwrap();
        assert_eq!((parts.len(), parts.read(3, 4).unwrap()), (10, b"3456".to_vec()));
        std::fs::write(&path, b"other content").unwrap();
        let error = parts.read(3, 4).unwrap_err();
        assert!(matches!(&error, Error::ReadFile { path: named, .. } if *named == path), "{error}");
        assert!(error.to_string().contains("it had 10 bytes, and now has 13"), "{error}");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(parts.read(3, 4), Err(Error::ReadFile { .. })));
        let error = Parts::of(&std::env::temp_dir()).map(drop).unwrap_err();
        assert!(error.to_string().contains("no regular file"), "{error}");
    }
}
