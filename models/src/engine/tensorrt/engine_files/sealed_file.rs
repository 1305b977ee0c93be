//! A file that says what it is for, and that is whole or not used.

use std::fs::File;
use std::io::{Read as _, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::key::{Digest, SCHEMA};

const MAGIC: [u8; 8] = *b"BELVENG\n";
/// Magic, schema, digest of the key, length of the contents, digest of the contents.
const HEADER_BYTES: usize = 8 + 4 + 32 + 8 + 32;

/// Why a file is of no use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("there is none")]
    Absent,
    #[error("it was made for something else")]
    OfAnotherKey,
    #[error("it is of another version of Belvedere")]
    OfAnotherSchema,
    #[error("it is damaged: {0}")]
    Damaged(String),
}

/// Writes contents under a key. The file is on the disk when this returns.
pub(super) fn seal(file: &mut File, key: &Digest, contents: &[u8]) -> std::io::Result<()> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend(MAGIC);
    header.extend(SCHEMA.to_le_bytes());
    header.extend(key);
    header.extend((contents.len() as u64).to_le_bytes());
    header.extend(Digest::from(Sha256::digest(contents)));
    file.write_all(&header)?;
    file.write_all(contents)?;
    file.sync_all()
}

/// The contents, if the file is whole and of this key.
pub(super) fn open(path: &Path, key: &Digest) -> Result<Vec<u8>, Unusable> {
    let damaged = |error: std::io::Error| Unusable::Damaged(error.to_string());
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Unusable::Absent),
        Err(error) => return Err(damaged(error)),
    };
    let there = file.metadata().map_err(damaged)?.len();
    let mut magic = [0; 8];
    let mut schema = [0; 4];
    let mut of_key = Digest::default();
    let mut length = [0; 8];
    let mut digest = Digest::default();
    for field in [&mut magic[..], &mut schema, &mut of_key, &mut length, &mut digest] {
        file.read_exact(field).map_err(damaged)?;
    }
    if magic != MAGIC {
        return Err(Unusable::Damaged("it does not begin as an engine file does".to_owned()));
    }
    if u32::from_le_bytes(schema) != SCHEMA {
        return Err(Unusable::OfAnotherSchema);
    }
    if of_key != *key {
        return Err(Unusable::OfAnotherKey);
    }
    let length = u64::from_le_bytes(length);
    if length.checked_add(HEADER_BYTES as u64) != Some(there) {
        return Err(Unusable::Damaged(format!("{there} bytes where there should be {length} and a header")));
    }
    // As much as the file has, which was just seen: not what its header claims.
    let mut contents = Vec::with_capacity(there as usize);
    file.read_to_end(&mut contents).map_err(damaged)?;
    if Digest::from(Sha256::digest(&contents)) != digest {
        return Err(Unusable::Damaged("its checksum is wrong".to_owned()));
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Digest = [3; 32];

    fn sealed(contents: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vision.engine");
        seal(&mut File::create(&path).unwrap(), &KEY, contents).unwrap();
        (folder, path)
    }

    #[test]
    fn what_was_sealed_comes_back_for_its_key_alone() {
        let (_folder, path) = sealed(b"plan");
        assert_eq!(open(&path, &KEY).as_deref(), Ok(&b"plan"[..]));
        assert_eq!(open(&path, &[4; 32]), Err(Unusable::OfAnotherKey));
        assert_eq!(open(&path.with_extension("gone"), &KEY), Err(Unusable::Absent));
    }

    #[test]
    fn no_byte_can_change_unnoticed() {
        let (_folder, path) = sealed(b"plan");
        let whole = std::fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x40;
            std::fs::write(&path, bytes).unwrap();
            assert!(open(&path, &KEY).is_err(), "byte {place}");
        }
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(open(&path, &KEY).is_err(), "cut to {length} bytes");
        }
        std::fs::write(&path, [&whole[..], b"!"].concat()).unwrap();
        assert!(open(&path, &KEY).is_err(), "longer than it was");
    }

    #[test]
    fn a_length_from_nowhere_takes_no_memory() {
        let (_folder, path) = sealed(b"plan");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[44..52].copy_from_slice(&u64::MAX.to_le_bytes());
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(open(&path, &KEY), Err(Unusable::Damaged(_))));
    }
}
