// The kernels by name.
#pragma once

#include <tuple>
#include <utility>

#include "beams.cu"
#include "best_tokens.cu"
#include "cache_append.cu"
#include "next_token.cu"
#include "past_mask.cu"
#include "preprocess.cu"

// An argument as it comes from outside; `kind` is 0 memory, 1 int, 2 unsigned int, 3 float.
struct Argument {
    u32 kind;
    u32 bits;
    u64 address;
    u64 bytes;
};

template <class P>
struct Parameter;

template <class T>
struct Parameter<Array<T>> {
    static const u32 KIND = 0;
    static Array<T> of(const Argument& argument) {
        return Array<T>::at(argument.address, argument.bytes / sizeof(T));
    }
};
template <>
struct Parameter<i32> {
    static const u32 KIND = 1;
    static i32 of(const Argument& argument) { return same_bits<i32>(argument.bits); }
};
template <>
struct Parameter<u32> {
    static const u32 KIND = 2;
    static u32 of(const Argument& argument) { return argument.bits; }
};
template <>
struct Parameter<float> {
    static const u32 KIND = 3;
    static float of(const Argument& argument) { return same_bits<float>(argument.bits); }
};

template <class P>
P parameter(const Argument* arguments, u64 i) {
    if (arguments[i].kind != Parameter<P>::KIND) {
        refuse("argument " + std::to_string(i) + " is of kind " + std::to_string(arguments[i].kind) + ", not " +
               std::to_string(Parameter<P>::KIND));
    }
    return Parameter<P>::of(arguments[i]);
}

template <class... P, std::size_t... I>
void run_blocks(void (*kernel)(P...), const Argument* arguments, std::index_sequence<I...>) {
    const std::tuple<P...> parameters{parameter<P>(arguments, I)...};
    for (blockIdx.z = 0; blockIdx.z < gridDim.z; blockIdx.z++) {
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++) {
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++) kernel(std::get<I>(parameters)...);
        }
    }
}

template <auto kernel>
struct Entry;

template <class... P, void (*kernel)(P...)>
struct Entry<kernel> {
    static void run(const Argument* arguments, u64 count) {
        if (count != sizeof...(P)) {
            refuse(std::to_string(count) + " arguments instead of " + std::to_string(sizeof...(P)));
        }
        run_blocks(kernel, arguments, std::index_sequence_for<P...>());
    }
};

struct Kernel {
    const char* name;
    void (*run)(const Argument*, u64);
};

#define KERNEL(name) Kernel{#name, &Entry<&name>::run}
static const Kernel KERNELS[] = {
    KERNEL(cache_append_f16),   KERNEL(cache_append_f32),      KERNEL(past_mask_f16),         KERNEL(past_mask_f32),
    KERNEL(next_token_scan),    KERNEL(next_token_choose),     KERNEL(best_tokens_scan),      KERNEL(best_tokens_choose),
    KERNEL(cache_reorder),      KERNEL(preprocess_rows),       KERNEL(preprocess_columns),
    KERNEL(preprocess_second_f16), KERNEL(preprocess_second_f32),
};

inline const Kernel* kernel_named(const std::string& name) {
    for (const Kernel& kernel : KERNELS) {
        if (name == kernel.name) return &kernel;
    }
    return nullptr;
}

// Runs a kernel with nothing but `ranges` to reach; throws where it would leave them.
inline void run_kernel(
    const std::string& name, dim3 grid, dim3 block, const Argument* arguments, u64 argument_count, const Range* ranges,
    u64 range_count
) {
    const Kernel* kernel = kernel_named(name);
    if (kernel == nullptr) throw std::invalid_argument("there is no such kernel");
    if (block.x == 0 || block.x > MOST_THREADS || block.y != 1 || block.z != 1) {
        throw std::invalid_argument("a block has 1 to 1024 threads, all in x");
    }
    gridDim = grid;
    blockDim = block;
    blockIdx = threadIdx = dim3{0, 0, 0};
    reachable = ranges;
    reachable_count = range_count;
    reachable_last = 0;
    kernel->run(arguments, argument_count);
}
