//! Belvedere's kernels on an NVIDIA GPU: [`belvedere_kernels::device::Device`] over the CUDA driver, which is loaded at run
//! time.
