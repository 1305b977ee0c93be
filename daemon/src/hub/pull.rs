//! A whole model.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use belvedere_models::{Checkpoint, Tokenizer};

use super::client::{HubClient, HubOptions};
use super::download::{Download, part_of, wrongness};
use super::listing::INDEX;
use super::{HubError, ModelName};

/// What is fetched lies here, in the folder of models, until it is whole.
const UNFINISHED: &str = ".unfinished";

/// What there is to tell while a model is fetched.
#[derive(Debug)]
pub enum PullEvent<'a> {
    /// A file begins.
    File {
        /// Its name.
        name: &'a str,
        /// Its length, where it is known.
        bytes: Option<u64>,
        /// So much of it was there already.
        already: u64,
    },
    /// So many bytes came.
    Bytes(u64),
    /// It is tried again.
    Again {
        /// What went wrong.
        error: &'a HubError,
        /// After so long.
        wait: Duration,
    },
}

/// A model that is there.
#[derive(Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Its folder.
    pub path: PathBuf,
    /// Its commit.
    pub commit: String,
    /// Whether it had been there already, unchanged.
    pub was_there: bool,
    /// Whether another version of it was there, which a daemon that runs still has in memory.
    pub replaced: bool,
    /// The files of which the hub tells no checksum.
    pub unchecked: Vec<String>,
}

/// Fetches `model` at `revision` into `models/OWNER/NAME`, telling `tell` how it goes. The folder is there whole or
/// as it was; of what was fetched in vain, the next call makes use.
///
/// # Errors
/// [`HubError`]
pub fn pull(
    options: &HubOptions,
    model: &ModelName,
    revision: &str,
    models: &Path,
    tell: &mut dyn FnMut(PullEvent<'_>),
) -> Result<Pulled, HubError> {
    let client = HubClient::new(options.clone())?;
    // Without a network, whoever waits is told at once how to do without.
    let is_passing = |error: &HubError| error.is_passing() && !matches!(error, HubError::Unreachable { .. });
    let listing = client.patiently(tell, is_passing, |_| (false, client.listing(model, revision)))?;
    let mut files = listing.needed(model)?;

    let unfinished = models.join(UNFINISHED);
    fs::create_dir_all(&unfinished).map_err(HubError::file(&unfinished))?;
    let _lock = lock(&unfinished.join(format!("{}.lock", model.flat())), models)?;
    let work = unfinished.join(format!("{}@{}", model.flat(), listing.sha));
    let place = models.join(model.path());

    let download = Download { client: &client, model, commit: &listing.sha };
    // What a finished folder has and the hub has too is not fetched again.
    let source = |name: &str| Some(place.join(name)).filter(|path| path.exists());
    fs::create_dir_all(&work).map_err(HubError::file(&work))?;
    let mut was_there = true;
    let mut next = 0;
    while let Some(file) = files.get(next).cloned() {
        let path = work.join(&file.name);
        let kept = source(&file.name).filter(|_| file.checksum().is_some());
        match kept {
            Some(kept) if wrongness(&file, &kept)?.is_none() => {
                let _ = fs::remove_file(&path);
                let _ = fs::remove_file(part_of(&path));
                // A link costs no room; where there can be none, a copy does.
                fs::hard_link(&kept, &path)
                    .or_else(|_| fs::copy(&kept, &path).map(drop))
                    .map_err(HubError::file(&path))?;
            }
            _ => {
                was_there = false;
                download.fetch(&file, &path, tell)?;
            }
        }
        if file.name == INDEX {
            let index = fs::read_to_string(&path).map_err(HubError::file(&path))?;
            files.extend(listing.parts(model, &index)?);
        }
        next += 1;
    }

    check(&work)?;
    let replaced = !was_there && place.exists();
    if was_there {
        fs::remove_dir_all(&work).map_err(HubError::file(&work))?;
    } else {
        put_in_place(&work, &place, &unfinished.join(format!("{}.old", model.flat())))?;
        open_to_all(&place)?;
    }
    forget_others(&unfinished, model);
    let unchecked =
        files.iter().filter(|file| file.checksum().is_none()).map(|file| file.name.clone()).collect();
    Ok(Pulled { path: place, commit: listing.sha, was_there, replaced, unchecked })
}

/// Lets everybody read the checkpoint in `place`, whatever the umask of whoever fetched it: the service is another user.
fn open_to_all(place: &Path) -> Result<(), HubError> {
    let set = |path: &Path, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(HubError::file(path))
    };
    for entry in fs::read_dir(place).map_err(HubError::file(place))? {
        set(&entry.map_err(HubError::file(place))?.path(), 0o644)?;
    }
    set(place, 0o755)?;
    // The owner's folder, which is made here too.
    place.parent().map_or(Ok(()), |owner| set(owner, 0o755))
}

/// Removes what lies in `unfinished` of `model` at other commits, which nobody will go on with. Where that cannot be, it is
/// tried again the next time.
fn forget_others(unfinished: &Path, model: &ModelName) {
    let start = format!("{}@", model.flat());
    for entry in fs::read_dir(unfinished).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&start) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether it can be used.
fn check(folder: &Path) -> Result<(), HubError> {
    let wrong = |reason| HubError::NotFlorence { reason: Box::new(reason) };
    let checkpoint = Checkpoint::open(folder).map_err(wrong)?;
    Tokenizer::open(&folder.join("tokenizer.json"), checkpoint.config().text.vocabulary).map_err(wrong)?;
    Ok(())
}

/// Held by one process at a time; given back when it is dropped, or with the process.
fn lock(path: &Path, models: &Path) -> Result<File, HubError> {
    let file = File::create(path).map_err(HubError::file(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(HubError::Busy { path: models.to_owned() }),
        Err(fs::TryLockError::Error(error)) => Err(HubError::file(path)(error)),
    }
}

/// Moves `work` to `place`; what is there goes by way of `old`.
fn put_in_place(work: &Path, place: &Path, old: &Path) -> Result<(), HubError> {
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).map_err(HubError::file(parent))?;
    }
    if old.exists() {
        fs::remove_dir_all(old).map_err(HubError::file(old))?;
    }
    let replaces = place.exists();
    if replaces {
        fs::rename(place, old).map_err(HubError::file(place))?;
    }
    if let Err(error) = fs::rename(work, place) {
        // Better the old one than none.
        if replaces {
            let _ = fs::rename(old, place);
        }
        return Err(HubError::file(place)(error));
    }
    if replaces {
        fs::remove_dir_all(old).map_err(HubError::file(old))?;
    }
    Ok(())
}
