//! Belvedere's CUDA kernels without a GPU: the same `.cu` files compiled as C++, behind
//! [`belvedere_kernels::device::Device`]. For tests.
