// Beam search: the best few continuations of every row (spec 4.8, steps 1 and 2 up to the sum over a row's beams).
//
// Two kernels, as in next_token.cu: the first sorts LOGIT_COLUMNS of a row in each block, the second what was best in the
// blocks of a row. Log-probs are taken before the bans, which take no part in the sum.
#include "logits.cuh"

// Candidates of a row that the second kernel can sort.
static const u32 MOST_CANDIDATES = 2048;

// Largest first; `count` is a power of two.
static __device__ __forceinline__ void sort_descending(u64* keys, u32 count) {
    for (u32 run = 2; run <= count; run *= 2) {
        for (u32 step = run / 2; step > 0; step /= 2) {
            for (Phase phase; phase.next();) {
                for (u32 pair = threadIdx.x; pair < count / 2; pair += blockDim.x) {
                    const u32 i = 2 * pair - (pair & (step - 1));
                    const u64 a = keys[i], b = keys[i + step];
                    if ((a < b) == ((i & run) == 0)) {
                        keys[i] = b;
                        keys[i + step] = a;
                    }
                }
            }
        }
    }
}

static __device__ __forceinline__ bool runs(i64 position, u32 history_length, i32 done) {
    return done == 0 && position >= 0 && position < history_length;
}

// Grid: (ceil(vocabulary / LOGIT_COLUMNS), rows), LOGIT_THREADS threads. logits [rows, columns]; history
// [rows, history_length], position[r] + 1 tokens of it; limits [rows, 4]; seen [rows, grid.x]; candidates
// [rows, grid.x, count].
extern "C" __global__ void __launch_bounds__(256) best_tokens_scan(
    Array<const float> logits, Array<i32> history, Array<const i64> position, Array<const i32> limits,
    Array<const i32> done, Array<uint4> seen, Array<u64> candidates,
    u32 columns, u32 vocabulary, u32 history_length, u32 ngram, i32 eos, u32 count
) {
    __shared__ Bans bans;
    __shared__ Seen parts[LOGIT_THREADS];
    __shared__ u64 keys[LOGIT_COLUMNS];
    const u32 row = blockIdx.y, first = blockIdx.x * LOGIT_COLUMNS;
    if (!runs(position[row], history_length, done[row])) return;
    const u32 length = u32(position[row]) + 1;
    for (Phase phase; phase.next();) {
        if (threadIdx.x < LOGIT_COLUMNS / 32) bans.words[threadIdx.x] = 0;
    }
    for (Phase phase; phase.next();) {
        const i32 early_eos = i32(length) < limits[4 * row + 1] ? eos : -1;
        ban_repeated(bans, first, history.from(u64(row) * history_length), length, ngram, early_eos);
    }
    for (Phase phase; phase.next();) {
        u64 all[LOGIT_COLUMNS / LOGIT_THREADS];
        Seen mine = nothing_seen();
        #pragma unroll
        for (u32 i = 0; i < LOGIT_COLUMNS / LOGIT_THREADS; i++) {
            const u32 column = i * LOGIT_THREADS + threadIdx.x;
            all[i] = 0;
            if (first + column < vocabulary) {
                const float logit = logits[u64(row) * columns + first + column];
                mine.finite &= is_finite(logit);
                all[i] = key_of(logit, first + column);
                mine.best = all[i] > mine.best ? all[i] : mine.best;
            }
            keys[column] = bans.has(column) ? 0 : all[i];
        }
        #pragma unroll
        for (u32 i = 0; i < LOGIT_COLUMNS / LOGIT_THREADS; i++) {
            if (all[i] != 0) mine.sum += expf(logit_of(all[i]) - logit_of(mine.best));
        }
        parts[threadIdx.x] = mine;
    }
    put_together(parts);
    sort_descending(keys, LOGIT_COLUMNS);
    for (Phase phase; phase.next();) {
        const u64 block = u64(row) * gridDim.x + blockIdx.x;
        if (threadIdx.x == 0) seen[block] = packed(parts[0]);
        if (threadIdx.x < count) candidates[block * count + threadIdx.x] = keys[threadIdx.x];
    }
}

// Grid: (rows), LOGIT_THREADS threads. best [rows, count] of {token, log-prob}, best first; the token is -1 where there is
// none left, -2 in a row whose logits are not all finite.
extern "C" __global__ void __launch_bounds__(256) best_tokens_choose(
    Array<const uint4> seen, Array<const u64> candidates, Array<const i64> position, Array<const i32> done,
    Array<uint2> best, u32 blocks, u32 history_length, u32 count
) {
    __shared__ Seen parts[LOGIT_THREADS];
    __shared__ u64 keys[MOST_CANDIDATES];
    const u32 row = blockIdx.x;
    const bool running = runs(position[row], history_length, done[row]);
    u32 sorted = 1;
    while (sorted < blocks * count) sorted *= 2;
    for (Phase phase; phase.next();) {
        Seen mine = nothing_seen();
        if (running) {
            for (u32 block = threadIdx.x; block < blocks; block += LOGIT_THREADS) {
                mine = together(mine, unpacked(seen[u64(row) * blocks + block]));
            }
            for (u32 i = threadIdx.x; i < sorted; i += LOGIT_THREADS) {
                keys[i] = i < blocks * count ? candidates[u64(row) * blocks * count + i] : 0;
            }
        }
        parts[threadIdx.x] = mine;
    }
    put_together(parts);
    if (running) sort_descending(keys, sorted);
    for (Phase phase; phase.next();) {
        if (threadIdx.x >= count) continue;
        const u64 key = running && threadIdx.x < sorted ? keys[threadIdx.x] : 0;
        uint2 entry;
        entry.x = u32(-1);
        entry.y = 0xff800000u; // minus infinity
        if (parts[0].finite == 0) {
            entry.x = u32(-2);
        } else if (key != 0) {
            entry.x = id_of(key);
            entry.y = __float_as_uint(logit_of(key) - logit_of(parts[0].best) - logf(parts[0].sum));
        }
        best[u64(row) * count + threadIdx.x] = entry;
    }
}
