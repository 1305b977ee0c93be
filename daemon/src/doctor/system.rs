//! What the kernel and the distribution say in files, below a root folder: `/`, or a test's.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::device_node::{Identity, group_may_use, group_name};
use super::{DeviceNode, Jetson, Machine, Nvidia};

/// NVIDIA's number on the PCI bus, and the class of displays and 3D controllers.
const NVIDIA_VENDOR: &str = "0x10de";
const DISPLAY_CLASS: &str = "0x03";

/// Files through which programs reach NVIDIA's GPUs and decoders, on the desktop and on Jetson.
const NODES: [&str; 9] = [
    "dev/nvidia0",
    "dev/nvidiactl",
    "dev/nvidia-uvm",
    "dev/nvmap",
    "dev/nvhost-ctrl-gpu",
    "dev/nvgpu/igpu0/ctrl",
    "dev/nvhost-nvdec",
    "dev/v4l2-nvdec",
    "dev/dri/renderD128",
];

/// Where packages put libraries.
const LIBRARY_FOLDERS: [&str; 5] = [
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib/aarch64-linux-gnu/nvidia",
    "usr/lib",
    "usr/local/lib",
];

/// Files that the kernel and the distribution keep.
pub(super) struct System<'a> {
    root: &'a Path,
}

impl System<'_> {
    pub(super) fn at(root: &Path) -> System<'_> {
        System { root }
    }

    pub(super) fn machine(&self) -> Machine {
        let release = self.text("etc/os-release");
        let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        Machine {
            system: name.unwrap_or("Linux").trim_matches('"').to_owned(),
            kernel: self.text("proc/sys/kernel/osrelease").trim().to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            processor: crate::process::processor_name(),
            memory_bytes: memory_in(&self.text("proc/meminfo")),
            container: self.container(),
            is_root: self.identity().uid == 0,
        }
    }

    /// The device tree knows a Jetson, in containers too; L4T's own file is not always handed into them.
    pub(super) fn jetson(&self) -> Option<Jetson> {
        let l4t = Jetson::l4t_in(&self.text("etc/nv_tegra_release"));
        let compatible = self.text("proc/device-tree/compatible");
        if l4t.is_none() && !compatible.contains("nvidia,tegra") {
            return None;
        }
        let model = self.text("proc/device-tree/model");
        let board = model.trim_matches(['\0', '\n', ' ']);
        let board = if board.is_empty() { "unknown board" } else { board };
        Some(Jetson { board: board.to_owned(), l4t })
    }

    pub(super) fn nvidia(&self) -> Nvidia {
        Nvidia { pci: self.pci(), kernel_driver: self.kernel_driver(), nodes: self.nodes() }
    }

    /// Files of TensorRT in the folders where packages put them, such as `libnvinfer.so.8.6.1`.
    pub(super) fn tensorrt_files(&self) -> Vec<String> {
        let folders = LIBRARY_FOLDERS.iter().filter_map(|name| fs::read_dir(self.root.join(name)).ok());
        let names = folders.flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        // A whole version has two dots or more behind the name; links with fewer lead there.
        let is_whole = |name: &String| {
            let version =
                name.strip_prefix("libnvinfer.so.").or_else(|| name.strip_prefix("libtensorrt_rtx.so."));
            version.is_some_and(|version| version.matches('.').count() >= 2)
        };
        let mut found: Vec<String> = names.filter(is_whole).collect();
        found.sort();
        found.dedup();
        found
    }

    fn pci(&self) -> Vec<String> {
        let devices = fs::read_dir(self.root.join("sys/bus/pci/devices"));
        let devices = devices.into_iter().flatten().flatten().map(|entry| entry.path());
        let word = |path: &Path, name: &str| {
            fs::read_to_string(path.join(name)).map(|text| text.trim().to_owned()).unwrap_or_default()
        };
        let displays = devices.filter(|path| {
            word(path, "vendor") == NVIDIA_VENDOR && word(path, "class").starts_with(DISPLAY_CLASS)
        });
        let mut found: Vec<String> =
            displays.map(|path| format!("10de:{}", word(&path, "device").trim_start_matches("0x"))).collect();
        found.sort();
        found
    }

    /// `NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 ...`
    fn kernel_driver(&self) -> Option<String> {
        let text = self.text("proc/driver/nvidia/version");
        let words = text.lines().next()?.split_whitespace();
        let is_version =
            |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
        let version = words.into_iter().find(is_version).map(str::to_owned);
        version.or_else(|| {
            let version = self.text("sys/module/nvidia/version");
            Some(version.trim().to_owned()).filter(|version| !version.is_empty())
        })
    }

    fn nodes(&self) -> Vec<DeviceNode> {
        let identity = self.identity();
        let groups = self.text("etc/group");
        let node = |name: &&str| {
            let found = fs::metadata(self.root.join(name)).ok()?;
            let (mode, gid) = (found.mode(), found.gid());
            let is_usable = identity.may_use(mode, found.uid(), gid);
            let group = || group_name(&groups, gid).or_else(|| Some(gid.to_string()));
            let group = if !is_usable && group_may_use(mode) { group() } else { None };
            Some(DeviceNode { path: Path::new("/").join(name), is_usable, group })
        };
        NODES.iter().filter_map(node).collect()
    }

    fn identity(&self) -> Identity {
        Identity::in_status(&self.text("proc/self/status"))
    }

    fn container(&self) -> Option<String> {
        if self.root.join(".dockerenv").exists() {
            return Some("docker".to_owned());
        }
        if self.root.join("run/.containerenv").exists() {
            return Some("podman".to_owned());
        }
        let said = self.text("run/systemd/container");
        if !said.trim().is_empty() {
            return Some(said.trim().to_owned());
        }
        let groups = self.text("proc/1/cgroup");
        ["docker", "kubepods", "containerd", "lxc", "podman"]
            .into_iter()
            .find(|word| groups.contains(word))
            .map(str::to_owned)
    }

    /// Nothing, where there is no such file or it is no text.
    fn text(&self, name: &str) -> String {
        let bytes = fs::read(self.root.join(PathBuf::from(name))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn memory_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// Files below a root, each with its text.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn a_jetson_is_known_by_its_device_tree_and_its_release() {
        let files = [
            ("etc/nv_tegra_release", "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic\n"),
            ("proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit\0"),
            ("proc/device-tree/compatible", "nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0"),
        ];
        let board = "NVIDIA Jetson Orin Nano Developer Kit".to_owned();
        let jetson = |files: &[_]| System::at(root(files).path()).jetson();
        assert_eq!(jetson(&files), Some(Jetson { board: board.clone(), l4t: Some("36.4.3".to_owned()) }));
        assert_eq!(jetson(&files[1..]), Some(Jetson { board, l4t: None }));
        assert_eq!(jetson(&files[1..2]), None, "another board");
        assert_eq!(jetson(&[]), None);
    }

    #[test]
    fn graphics_of_nvidia_are_found_on_the_bus_and_its_sound_is_not() {
        let dir = root(&[
            ("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n"),
            ("sys/bus/pci/devices/0000:01:00.0/class", "0x030000\n"),
            ("sys/bus/pci/devices/0000:01:00.0/device", "0x2684\n"),
            ("sys/bus/pci/devices/0000:01:00.1/vendor", "0x10de\n"),
            ("sys/bus/pci/devices/0000:01:00.1/class", "0x040300\n"),
            ("sys/bus/pci/devices/0000:02:00.0/vendor", "0x8086\n"),
            ("sys/bus/pci/devices/0000:02:00.0/class", "0x030000\n"),
            (
                "proc/driver/nvidia/version",
                "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue\nGCC",
            ),
        ]);
        let nvidia = System::at(dir.path()).nvidia();
        assert_eq!(
            (nvidia.pci, nvidia.kernel_driver.as_deref()),
            (vec!["10de:2684".to_owned()], Some("550.54.15"))
        );
    }

    #[test]
    fn a_device_of_others_names_the_group_to_join() {
        let dir = root(&[("dev/nvmap", ""), ("proc/self/status", "Uid:\t4294\t4294000000\nGroups:\t\n")]);
        let node = dir.path().join("dev/nvmap");
        fs::set_permissions(&node, fs::Permissions::from_mode(0o660)).unwrap();
        let gid = fs::metadata(&node).unwrap().gid();
        fs::create_dir_all(dir.path().join("etc")).unwrap();
        fs::write(dir.path().join("etc/group"), format!("video:x:{gid}:\n")).unwrap();
        let nodes = System::at(dir.path()).nvidia().nodes;
        let expected =
            DeviceNode { path: "/dev/nvmap".into(), is_usable: false, group: Some("video".to_owned()) };
        assert_eq!(nodes, [expected]);
    }

    #[test]
    fn every_tensorrt_of_the_system_is_named_once() {
        let dir = root(&[
            ("usr/lib/aarch64-linux-gnu/libnvinfer.so.8", ""),
            ("usr/lib/aarch64-linux-gnu/libnvinfer.so.8.5.2", ""),
            ("usr/lib/aarch64-linux-gnu/libnvinfer_plugin.so.8.5.2", ""),
            ("usr/local/lib/libtensorrt_rtx.so.1.7.1", ""),
        ]);
        assert_eq!(
            System::at(dir.path()).tensorrt_files(),
            ["libnvinfer.so.8.5.2", "libtensorrt_rtx.so.1.7.1"]
        );
    }

    #[test]
    fn an_empty_machine_is_described_without_a_fault() {
        let dir = root(&[]);
        let system = System::at(dir.path());
        assert_eq!(system.machine().system, "Linux");
        assert_eq!(system.nvidia(), Nvidia::default());
    }

    #[test]
    fn a_container_is_known_by_its_marks() {
        let kind = |files: &[_]| System::at(root(files).path()).machine().container;
        assert_eq!(kind(&[(".dockerenv", "")]).as_deref(), Some("docker"));
        assert_eq!(kind(&[("run/.containerenv", "")]).as_deref(), Some("podman"));
        assert_eq!(kind(&[("proc/1/cgroup", "0::/kubepods/pod1\n")]).as_deref(), Some("kubepods"));
        assert_eq!(kind(&[("proc/1/cgroup", "0::/init.scope\n")]), None);
    }
}
