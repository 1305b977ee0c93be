// What every kernel here is written in: phases, memory, 16-bit floats. For CUDA (nvcc, NVRTC); a host compiler gets the
// same names from kernels/host/src/shim/device.h. Includes nothing: a device may have the driver and no toolkit.
#pragma once

#ifdef BELVEDERE_HOST
#include "host_device.h"
#else

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;

// A part of a kernel that all threads of a block finish before any begins the next:
//     for (Phase phase; phase.next();) { ... }
// Only inside one may threadIdx be used and memory be written; what stands outside is the same for all threads of a block.
// No phase is left by `return`; `continue` ends it for this thread. On the host a phase is a loop over the threads.
struct Phase {
    bool done = false;
    __device__ __forceinline__ bool next() {
        if (done) {
            __syncthreads();
            return false;
        }
        done = true;
        return true;
    }
};

// What a thread keeps from one phase to the next.
template <class T>
struct PerThread {
    T value;
    __device__ __forceinline__ T& operator()() { return value; }
};

// Memory as a kernel gets it: a pointer here, a pointer with bounds that are checked on the host. `Array<const T>` is not
// written by anyone while the kernel runs, so that it may be read through the read-only cache.
template <class T>
struct Array {
    T* first;
    __device__ __forceinline__ T& operator[](u64 i) const { return first[i]; }
    // `length` elements at an address that was read from memory.
    static __device__ __forceinline__ Array at(u64 address, u64 length) { return Array{reinterpret_cast<T*>(address)}; }
    template <class U>
    __device__ __forceinline__ Array<U> as() const { return Array<U>{reinterpret_cast<U*>(first)}; }
    __device__ __forceinline__ Array from(u64 i) const { return Array{first + i}; }
    __device__ __forceinline__ bool aligned(u32 bytes) const { return (reinterpret_cast<u64>(first) & (bytes - 1)) == 0; }
};

template <class T>
struct Array<const T> {
    const T* first;
    __device__ __forceinline__ T operator[](u64 i) const { return __ldg(first + i); }
    static __device__ __forceinline__ Array at(u64 address, u64 length) { return Array{reinterpret_cast<const T*>(address)}; }
    template <class U>
    __device__ __forceinline__ Array<U> as() const { return Array<U>{reinterpret_cast<U*>(first)}; }
    __device__ __forceinline__ Array from(u64 i) const { return Array{first + i}; }
    __device__ __forceinline__ bool aligned(u32 bytes) const { return (reinterpret_cast<u64>(first) & (bytes - 1)) == 0; }
};

// Nearest, ties to even, as IEEE 754 binary16.
static __device__ __forceinline__ u16 half_of(float x) {
    u16 half;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(x));
    return half;
}

// The dot product of four unsigned bytes of `a` with four signed bytes of `b`, added to `sum`; wraps.
static __device__ __forceinline__ u32 dot4(u32 a, u32 b, u32 sum) {
    u32 result;
    asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

#endif

// Element types of caches, masks and pixel values.
struct F16 {
    typedef u16 Stored;
    static __device__ __forceinline__ u16 of(float x) { return half_of(x); }
};
struct F32 {
    typedef float Stored;
    static __device__ __forceinline__ float of(float x) { return x; }
};
