//! A file in /dev, and whether this process may use it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

/// A device's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceNode {
    /// The file.
    pub path: PathBuf,
    /// Whether this process may read and write it. What a container forbids beyond that does not show.
    pub is_usable: bool,
    /// The group whose members may, where joining it would help.
    pub group: Option<String>,
}

/// Who this process is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) uid: u32,
    pub(super) groups: BTreeSet<u32>,
}

/// Read and write.
const READ_WRITE: u32 = 0o6;

impl Identity {
    /// From `/proc/self/status`.
    pub(super) fn in_status(status: &str) -> Identity {
        let numbers = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let numbers = line.unwrap_or_default().split_whitespace();
            numbers.filter_map(|number| number.parse().ok()).collect::<Vec<u32>>()
        };
        // Real, effective, saved, file system.
        let effective = |name: &str| numbers(name).get(1).copied();
        let groups = numbers("Groups:").into_iter().chain(effective("Gid:"));
        Identity { uid: effective("Uid:").unwrap_or(u32::MAX), groups: groups.collect() }
    }

    /// Whether it may read and write a file of this mode and owner.
    pub(super) fn may_use(&self, mode: u32, uid: u32, gid: u32) -> bool {
        let bits = match () {
            () if self.uid == 0 => READ_WRITE,
            () if self.uid == uid => mode >> 6,
            () if self.groups.contains(&gid) => mode >> 3,
            () => mode,
        };
        bits & READ_WRITE == READ_WRITE
    }
}

/// Whether joining the file's group would help.
pub(super) fn group_may_use(mode: u32) -> bool {
    (mode >> 3) & READ_WRITE == READ_WRITE
}

/// The name of a group in the text of `/etc/group`.
pub(super) fn group_name(groups: &str, gid: u32) -> Option<String> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str =
        "Name:\tx\nUid:\t1000\t1001\t1000\t1000\nGid:\t1000\t1002\t1000\t1000\nGroups:\t27 44 \n";

    #[test]
    fn a_file_is_usable_for_its_owner_its_group_or_everybody() {
        let me = Identity::in_status(STATUS);
        assert_eq!(me, Identity { uid: 1001, groups: [27, 44, 1002].into() });
        assert!(me.may_use(0o660, 0, 44) && me.may_use(0o600, 1001, 0) && me.may_use(0o666, 0, 0));
        assert!(!me.may_use(0o660, 0, 104) && !me.may_use(0o644, 0, 0) && !me.may_use(0o606, 0, 44));
        assert!(Identity { uid: 0, ..Identity::default() }.may_use(0o000, 5, 5));
    }

    #[test]
    fn a_group_is_known_by_its_number() {
        let groups = "root:x:0:\nvideo:x:44:me\nbroken\nrender:x:104:\n";
        assert_eq!(group_name(groups, 104).as_deref(), Some("render"));
        assert_eq!(group_name(groups, 7), None);
    }
}
