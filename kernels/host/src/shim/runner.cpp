// The kernels for Rust.
#include "kernels.h"

// Returns 0, or 1 with words about the mistake in `error`, cut to `error_bytes` and ended by a zero. Touches no memory but
// `ranges` and what is passed to it.
extern "C" int belvedere_run_kernel(
    const char* name, u64 name_bytes, const u32* grid, const u32* block, const Argument* arguments, u64 argument_count,
    const Range* ranges, u64 range_count, char* error, u64 error_bytes
) noexcept {
    const char* why = "unknown";
    std::string words;
    try {
        run_kernel(
            std::string(name, name_bytes), dim3{grid[0], grid[1], grid[2]}, dim3{block[0], block[1], block[2]}, arguments,
            argument_count, ranges, range_count);
        return 0;
    } catch (const std::exception& mistake) {
        try {
            words = mistake.what();
            why = words.c_str();
        } catch (...) {
        }
    } catch (...) {
    }
    if (error_bytes > 0) {
        std::strncpy(error, why, error_bytes - 1);
        error[error_bytes - 1] = 0;
    }
    return 1;
}

// Whether there is a kernel of this name.
extern "C" int belvedere_has_kernel(const char* name, u64 name_bytes) noexcept {
    for (const Kernel& kernel : KERNELS) {
        if (std::strlen(kernel.name) == name_bytes && std::memcmp(kernel.name, name, name_bytes) == 0) return 1;
    }
    return 0;
}
