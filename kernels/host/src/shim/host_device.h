// The names of kernels/cu/device.cuh for a host compiler: a block's threads are a loop, memory has bounds.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__
#define __launch_bounds__(threads)

typedef std::uint8_t u8;
typedef std::uint16_t u16;
typedef std::uint32_t u32;
typedef unsigned long long u64;
typedef std::int32_t i32;
typedef long long i64;

struct dim3 {
    u32 x, y, z;
};
struct alignas(8) uint2 {
    u32 x, y;
};
struct alignas(16) uint4 {
    u32 x, y, z, w;
};
struct alignas(16) int4 {
    i32 x, y, z, w;
};

static const u32 MOST_THREADS = 1024;

inline thread_local dim3 gridDim, blockDim, blockIdx, threadIdx;

// Memory that a launch may reach.
struct Range {
    u64 address;
    u64 bytes;
};
inline thread_local const Range* reachable = nullptr;
inline thread_local u64 reachable_count = 0;
// Where the last address was found: threads of a block ask for the same memory.
inline thread_local u64 reachable_last = 0;

[[noreturn]] inline void refuse(const std::string& why) {
    throw std::out_of_range(
        "block (" + std::to_string(blockIdx.x) + ", " + std::to_string(blockIdx.y) + ", " + std::to_string(blockIdx.z) +
        "), thread " + std::to_string(threadIdx.x) + ": " + why);
}

inline bool holds(const Range& range, u64 address, u64 bytes) {
    return address >= range.address && bytes <= range.bytes && address - range.address <= range.bytes - bytes;
}

inline void require_reachable(u64 address, u64 bytes) {
    if (reachable_last < reachable_count && holds(reachable[reachable_last], address, bytes)) return;
    for (u64 i = 0; i < reachable_count; i++) {
        if (holds(reachable[i], address, bytes)) {
            reachable_last = i;
            return;
        }
    }
    refuse(std::to_string(bytes) + " bytes at " + std::to_string(address) + " are not inside any memory");
}

struct Phase {
    u32 following = 0;
    bool next() {
        if (following == blockDim.x) return false;
        threadIdx.x = following++;
        return true;
    }
};

template <class T>
struct PerThread {
    T values[MOST_THREADS];
    T& operator()() { return values[threadIdx.x]; }
};

// Memory with bounds, unless a sanitizer is to find the mistakes.
#ifdef BELVEDERE_UNCHECKED
static const bool CHECKED = false;
#else
static const bool CHECKED = true;
#endif

template <class T>
struct Array {
    T* first;
    u64 length;

    T& operator[](u64 i) const {
        if (CHECKED && i >= length) refuse("element " + std::to_string(i) + " of " + std::to_string(length));
        return first[i];
    }
    static Array at(u64 address, u64 length) {
        if (CHECKED && length > ~u64(0) / sizeof(T)) refuse(std::to_string(length) + " elements");
        if (CHECKED) require_reachable(address, length * sizeof(T));
        return aligned_at(address, length);
    }
    static Array aligned_at(u64 address, u64 length) {
        if (CHECKED && address % alignof(T) != 0) {
            refuse("address " + std::to_string(address) + " is not a multiple of " + std::to_string(alignof(T)));
        }
        return Array{reinterpret_cast<T*>(static_cast<std::uintptr_t>(address)), length};
    }
    template <class U>
    Array<U> as() const {
        return Array<U>::aligned_at(address(), length * sizeof(T) / sizeof(U));
    }
    Array from(u64 i) const {
        if (CHECKED && i > length) refuse("from element " + std::to_string(i) + " of " + std::to_string(length));
        return Array{first + i, length - i};
    }
    bool aligned(u32 bytes) const { return address() % bytes == 0; }
    u64 address() const { return reinterpret_cast<std::uintptr_t>(first); }
};

template <class To, class From>
inline To same_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "as many bits");
    To to;
    std::memcpy(&to, &from, sizeof(To));
    return to;
}

inline u32 __float_as_uint(float x) { return same_bits<u32>(x); }
inline float __uint_as_float(u32 bits) { return same_bits<float>(bits); }

inline u32 atomicOr(u32* at, u32 bits) {
    const u32 before = *at;
    *at |= bits;
    return before;
}

inline u16 half_of(float x) {
    const u32 bits = __float_as_uint(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return 0x7fff; // cvt.rn.f16 gives this NaN
    if (magnitude >= 0x47800000) return u16(sign | 0x7c00); // 2^16 and more
    // The units of the last place to be kept, as a power of two: 2^-24 for all that has no leading one in a half.
    const i32 exponent = i32(magnitude >> 23) - 127;
    const u32 dropped = u32(exponent < -14 ? (exponent < -26 ? 26 : -exponent - 1) : 13);
    const u32 significand = magnitude < 0x00800000 ? 0 : (magnitude & 0x007fffff) | 0x00800000;
    const u32 kept = significand >> dropped, rest = significand & ((1u << dropped) - 1), half = 1u << (dropped - 1);
    const u32 rounded = kept + (rest > half || (rest == half && (kept & 1)) ? 1 : 0);
    // A carry out of the significand goes into the exponent, up to infinity, as it should.
    return u16(sign | (exponent < -14 ? rounded : rounded + (u32(exponent + 14) << 10)));
}

inline u32 dot4(u32 a, u32 b, u32 sum) {
    for (u32 byte = 0; byte < 32; byte += 8) {
        sum += (a >> byte & 0xff) * u32(i32(std::int8_t(b >> byte & 0xff)));
    }
    return sum;
}
