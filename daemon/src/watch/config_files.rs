//! Whether the files of the configuration are what they were when they were read.
//!
//! They are looked at, each second, and not watched by the kernel: a dozen `stat` calls cost nothing that could be
//! measured, and are right where inotify is not: behind symbolic links that are turned round (credentials of systemd and
//! of containers), on network file systems, in a folder that is itself replaced, for files that do not exist yet.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::config::FileStamp;

/// So often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

type Stamps = BTreeMap<PathBuf, Option<FileStamp>>;

/// The files of a configuration.
#[derive(Debug)]
pub struct ConfigFiles {
    files: Settling,
    ticks: tokio::time::Interval,
}

impl ConfigFiles {
    /// Those of [`crate::config::Reading::files`]. Must be called within a tokio runtime.
    pub fn new(files: Stamps) -> ConfigFiles {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ConfigFiles { files: Settling::new(files), ticks }
    }

    /// They were read again.
    pub fn read(&mut self, files: Stamps) {
        self.files = Settling::new(files);
    }

    /// Waits until one of them has changed and all of them have been left alone since the look before. Safe to cancel.
    pub async fn changed(&mut self) {
        loop {
            self.ticks.tick().await;
            let paths: Vec<PathBuf> = self.files.known.keys().cloned().collect();
            // A network that is away holds up this look and nothing else.
            let look = tokio::task::spawn_blocking(move || {
                let stamps = paths.into_iter().map(|path| {
                    let stamp = FileStamp::of(&path);
                    (path, stamp)
                });
                stamps.collect::<Stamps>()
            });
            if let Ok(now) = look.await
                && self.files.look(now)
            {
                return;
            }
        }
    }
}

/// Tells a change that is over from one that is being made. Pure.
#[derive(Debug)]
struct Settling {
    /// As they were read.
    known: Stamps,
    /// As they were at the last look.
    seen: Stamps,
}

impl Settling {
    fn new(known: Stamps) -> Settling {
        Settling { seen: known.clone(), known }
    }

    /// Whether the files, as they are `now`, are to be read again.
    fn look(&mut self, now: Stamps) -> bool {
        let is_left_alone = now == self.seen;
        self.seen = now;
        is_left_alone && self.seen != self.known
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn look(folder: &Path) -> Stamps {
        ["a.toml", "b.toml"]
            .map(|name| folder.join(name))
            .map(|path| (path.clone(), FileStamp::of(&path)))
            .into()
    }

    #[test]
    fn a_file_is_read_again_when_it_is_no_longer_written_to() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.toml"), "").unwrap();
        let mut files = Settling::new(look(folder.path()));
        assert!(!files.look(look(folder.path())) && !files.look(look(folder.path())));
        for text in ["one", "another", "the last one"] {
            std::fs::write(folder.path().join("a.toml"), text).unwrap();
            assert!(!files.look(look(folder.path())), "{text}");
        }
        assert!(files.look(look(folder.path())));
    }

    #[test]
    fn a_file_that_comes_or_goes_is_a_change_and_one_that_comes_back_in_time_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Settling::new(look(folder.path()));
        let path = folder.path().join("b.toml");
        std::fs::write(&path, "").unwrap();
        assert!(!files.look(look(folder.path())));
        std::fs::remove_file(&path).unwrap();
        assert!(!files.look(look(folder.path())) && !files.look(look(folder.path())));
        std::fs::write(&path, "").unwrap();
        assert!(!files.look(look(folder.path())) && files.look(look(folder.path())));
    }

    #[tokio::test]
    async fn a_change_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = ConfigFiles::new(look(folder.path()));
        std::fs::write(folder.path().join("a.toml"), "").unwrap();
        tokio::time::timeout(Duration::from_secs(20), files.changed()).await.unwrap();
    }
}
