//! The kernels as they come: text that says what each takes.

use std::collections::BTreeMap;

use belvedere_kernels::device::{Argument, Launch};

/// A compiled source.
pub(crate) struct Ptx {
    /// Name of the source.
    pub(crate) file: &'static str,
    pub(crate) text: &'static str,
}

/// All sources of `kernels/cu`.
pub(crate) const ALL: [Ptx; 6] = [
    Ptx { file: "beams.cu", text: include_str!("../../cu/ptx/beams.ptx") },
    Ptx { file: "best_tokens.cu", text: include_str!("../../cu/ptx/best_tokens.ptx") },
    Ptx { file: "cache_append.cu", text: include_str!("../../cu/ptx/cache_append.ptx") },
    Ptx { file: "next_token.cu", text: include_str!("../../cu/ptx/next_token.ptx") },
    Ptx { file: "past_mask.cu", text: include_str!("../../cu/ptx/past_mask.ptx") },
    Ptx { file: "preprocess.cu", text: include_str!("../../cu/ptx/preprocess.ptx") },
];

/// What a kernel takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    /// Bytes of each parameter: 8 for memory, 4 for a number.
    parameters: Vec<usize>,
}

impl Signature {
    /// Whether `launch` passes what the kernel takes: the driver reads as many arguments as that, of these sizes.
    pub(crate) fn check(&self, launch: &Launch) -> Result<(), String> {
        let size = |argument: &Argument| match argument {
            Argument::Memory(_) => 8,
            Argument::I32(_) | Argument::U32(_) | Argument::F32(_) => 4,
        };
        let given: Vec<usize> = launch.arguments.iter().map(size).collect();
        if given == self.parameters {
            return Ok(());
        }
        Err(format!("arguments of {given:?} bytes, the kernel takes {:?}", self.parameters))
    }
}

impl Ptx {
    /// The kernels by name.
    pub(crate) fn signatures(&self) -> BTreeMap<&'static str, Signature> {
        let entries = self.text.split(".visible .entry ").skip(1);
        let signature = |entry: &'static str| {
            let (name, rest) = entry.split_once('(')?;
            let parameters = rest.split_once(')')?.0.split(',').filter_map(parameter_bytes).collect();
            Some((name.trim(), Signature { parameters }))
        };
        entries.filter_map(signature).collect()
    }
}

/// Of `.param .u32 name` or `.param .align 8 .b8 name[8]`.
fn parameter_bytes(parameter: &str) -> Option<usize> {
    let parameter = parameter.trim().strip_prefix(".param")?;
    match parameter.split_once('[') {
        Some((_, count)) => count.trim_end_matches(']').parse().ok(),
        None if parameter.contains("64 ") => Some(8),
        None => Some(4),
    }
}

#[cfg(test)]
mod tests {
    use belvedere_kernels::device::DeviceSlice;
    use belvedere_kernels_host::HostDevice;
    use belvedere_kernels_host::cases::{self, Machine, OnDevice};

    use super::*;

    /// Runs on the host what it has found to fit the PTX.
    struct Checked {
        host: OnDevice<HostDevice>,
        unseen: BTreeMap<&'static str, Signature>,
        all: BTreeMap<&'static str, Signature>,
    }

    impl Machine for Checked {
        fn put(&mut self, bytes: &[u8]) -> Result<DeviceSlice, String> {
            self.host.put(bytes)
        }

        fn run(&mut self, launch: &Launch) -> Result<(), String> {
            let signature = self.all.get(launch.kernel).ok_or("no such kernel in the PTX")?;
            signature.check(launch)?;
            self.unseen.remove(launch.kernel);
            self.host.run(launch)
        }

        fn get(&mut self, slice: DeviceSlice) -> Result<Vec<u8>, String> {
            self.host.get(slice)
        }

        fn clear(&mut self) {
            self.host.clear();
        }
    }

    #[test]
    fn every_launch_fits_a_kernel_of_the_ptx_and_every_kernel_is_launched() {
        let all: BTreeMap<_, _> = ALL.iter().flat_map(Ptx::signatures).collect();
        let host = OnDevice::new(HostDevice::new()).unwrap();
        let mut machine = Checked { host, unseen: all.clone(), all };
        for seed in 0..40 {
            for case in
                [cases::caches, cases::next_token, cases::best_tokens, cases::beams, cases::preprocess]
            {
                case(&mut machine, seed).unwrap();
            }
        }
        assert!(machine.unseen.is_empty(), "never launched: {:?}", machine.unseen.keys());
    }

    #[test]
    fn a_launch_with_other_arguments_does_not_fit() {
        let signatures: BTreeMap<_, _> = ALL.iter().flat_map(Ptx::signatures).collect();
        let signature = &signatures["past_mask_f32"];
        let memory = Argument::Memory(DeviceSlice::new(0, 8));
        let launch = |arguments| Launch { kernel: "past_mask_f32", grid: [1; 3], block: [1; 3], arguments };
        let (number, real) = (Argument::U32(1), Argument::F32(1.0));
        assert_eq!(signature.check(&launch(vec![memory, memory, number, real])), Ok(()));
        for wrong in [vec![memory, memory, number], vec![memory, number, memory, real], vec![]] {
            assert!(signature.check(&launch(wrong)).is_err());
        }
    }

    #[test]
    fn the_ptx_is_for_the_oldest_gpu_and_the_driver_of_jetpack() {
        for ptx in ALL {
            let has = |line: &str| ptx.text.lines().any(|text| text.trim() == line);
            assert!(has(".target sm_75") && has(".version 8.5"), "{}", ptx.file);
        }
    }
}
