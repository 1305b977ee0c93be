//! belvedere-kernels
