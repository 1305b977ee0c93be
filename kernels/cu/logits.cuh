// What choosing tokens shares: bans, and logits as keys that sort as the tokens are to be preferred.
#pragma once
#include "device.cuh"

// Columns of a row of logits that one block looks at, with LOGIT_THREADS threads.
static const u32 LOGIT_COLUMNS = 1024;
static const u32 LOGIT_THREADS = 256;

// Which of a block's columns are banned.
struct Bans {
    u32 words[LOGIT_COLUMNS / 32];
    __device__ __forceinline__ bool has(u32 column) const { return words[column / 32] >> (column % 32) & 1; }
};

// Bans token `id` if it is among the block's columns. Any number of threads may ban at once.
static __device__ __forceinline__ void ban(Bans& bans, u32 first_column, i32 id) {
    const u32 column = u32(id) - first_column;
    if (id >= 0 && column < LOGIT_COLUMNS) atomicOr(&bans.words[column / 32], 1u << (column % 32));
}

// Bans what would repeat an n-gram of the first `length` tokens of `tokens`, and `early_eos` unless it is -1.
// All threads of a block, in a phase after one in which `bans` was cleared.
static __device__ __forceinline__ void ban_repeated(
    Bans& bans, u32 first_column, Array<i32> tokens, u32 length, u32 ngram, i32 early_eos
) {
    if (threadIdx.x == 0) ban(bans, first_column, early_eos);
    if (ngram == 0 || length < ngram) return;
    const u32 tail = length - (ngram - 1);
    for (u32 start = threadIdx.x; start < tail; start += blockDim.x) {
        bool same = true;
        for (u32 i = 0; i + 1 < ngram && same; i++) same = tokens[start + i] == tokens[tail + i];
        if (same) ban(bans, first_column, tokens[start + ngram - 1]);
    }
}

// A logit and its token in one number: larger logits are larger, and of equal ones the lower token. 0 is no token.
static __device__ __forceinline__ u64 key_of(float logit, u32 id) {
    const u32 bits = __float_as_uint(logit == 0.0f ? 0.0f : logit); // one zero, not two
    const u32 ordered = bits >> 31 ? ~bits : bits | 0x80000000u;
    return u64(ordered) << 32 | (0xffffffffu - id);
}

static __device__ __forceinline__ u32 id_of(u64 key) { return 0xffffffffu - u32(key); }

static __device__ __forceinline__ float logit_of(u64 key) {
    const u32 ordered = u32(key >> 32);
    return __uint_as_float(ordered >> 31 ? ordered & 0x7fffffffu : ~ordered);
}

static __device__ __forceinline__ bool is_finite(float x) {
    return (__float_as_uint(x) & 0x7f800000u) != 0x7f800000u;
}

// Some columns of a row seen together: the best token, the sum of exp(logit - best logit) over all that count, and
// whether every logit was finite.
struct Seen {
    u64 best;
    float sum;
    u32 finite;
};

static __device__ __forceinline__ Seen nothing_seen() { return Seen{0, 0.0f, 1}; }

static __device__ __forceinline__ Seen together(Seen a, Seen b) {
    const u64 best = a.best > b.best ? a.best : b.best;
    const float most = logit_of(best);
    float sum = 0.0f;
    if (a.best != 0) sum += a.sum * expf(logit_of(a.best) - most);
    if (b.best != 0) sum += b.sum * expf(logit_of(b.best) - most);
    return Seen{best, sum, a.finite & b.finite};
}

// The 256 entries of LOGIT_THREADS threads put together in the first: to 32, to 4, to 1. In a phase a thread writes only
// the entry at its own stride, and no other thread reads that.
static __device__ __forceinline__ void put_together(Seen* parts) {
    for (u32 stride = 8; stride <= 512; stride *= 8) {
        for (Phase phase; phase.next();) {
            if (threadIdx.x * stride >= LOGIT_THREADS) continue;
            Seen sum = parts[threadIdx.x * stride];
            for (u32 i = 1; i < 8; i++) {
                const u32 other = threadIdx.x * stride + i * (stride / 8);
                if (other < LOGIT_THREADS) sum = together(sum, parts[other]);
            }
            parts[threadIdx.x * stride] = sum;
        }
    }
}

static __device__ __forceinline__ uint4 packed(const Seen& seen) {
    uint4 words;
    words.x = u32(seen.best);
    words.y = u32(seen.best >> 32);
    words.z = __float_as_uint(seen.sum);
    words.w = seen.finite;
    return words;
}

static __device__ __forceinline__ Seen unpacked(const uint4& words) {
    return Seen{u64(words.y) << 32 | words.x, __uint_as_float(words.z), words.w};
}
