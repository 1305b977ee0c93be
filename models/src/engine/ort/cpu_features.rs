/// What the CPU is good at, as far as the choice of precision depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CpuFeatures {
    avx512_bf16: bool,
    amx_bf16: bool,
}

impl CpuFeatures {
    /// Of this machine, from the kernel's list of CPU flags: std cannot ask about AMX without an unstable feature,
    /// and the kernel's list also says what it lets processes use. Nothing is known where there is no such list.
    pub(super) fn detect() -> Self {
        Self::from_cpuinfo(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default())
    }

    fn from_cpuinfo(text: &str) -> Self {
        let flags = text.lines().find_map(|line| line.strip_prefix("flags")).unwrap_or_default();
        let has = |flag| flags.split_ascii_whitespace().any(|word| word == flag);
        Self { avx512_bf16: has("avx512_bf16"), amx_bf16: has("amx_bf16") }
    }

    /// Whether bfloat16 multiplies faster than f32.
    pub(super) fn bf16(self) -> bool {
        self.avx512_bf16 || self.amx_bf16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_whole_words_of_the_first_processor() {
        let flags =
            |flags: &str| CpuFeatures::from_cpuinfo(&format!("processor\t: 0\nflags\t\t: fpu {flags} sse\n"));
        assert!(flags("avx512_bf16").bf16());
        assert!(flags("amx_bf16 amx_tile").bf16());
        assert!(!flags("avx512_bf16x avx2").bf16());
        assert!(!CpuFeatures::from_cpuinfo("").bf16());
    }
}
