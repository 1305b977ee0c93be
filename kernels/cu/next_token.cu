// Greedy decoding: the next token of every row, with the bans of the reference's logits processors (spec 4.6, 4.7).
//
// Two kernels. The first looks at the logits, LOGIT_COLUMNS of a row to a block, so that a single row keeps the whole
// GPU busy; the second puts together what was seen of each row, and advances it.
#include "logits.cuh"

static const i32 SCORE = 1; // the mode in limits

// What a row does in this step, as the first kernel and the second see it.
struct Turn {
    bool running;
    u32 length; // tokens there are
    i32 max_length;
    i32 least_length;
    bool score;
    i32 forced_eos;
};

static __device__ __forceinline__ Turn turn_of(
    u32 row, u32 history_length, i64 position, Array<const i32> limits, i32 done
) {
    Turn turn;
    turn.running = done == 0 && position >= 0 && position + 1 < history_length;
    turn.length = turn.running ? u32(position) + 1 : 0;
    turn.max_length = limits[4 * row];
    turn.least_length = limits[4 * row + 1];
    turn.score = limits[4 * row + 2] == SCORE;
    turn.forced_eos = limits[4 * row + 3];
    return turn;
}

// Grid: (ceil(vocabulary / LOGIT_COLUMNS), rows), LOGIT_THREADS threads. logits [rows, columns], of which the first
// `vocabulary` belong to tokens; history [rows, history_length]; seen [rows, grid.x].
extern "C" __global__ void __launch_bounds__(256) next_token_scan(
    Array<const float> logits, Array<i32> history, Array<const i64> position, Array<const i32> limits,
    Array<const i32> done, Array<uint4> seen,
    u32 columns, u32 vocabulary, u32 history_length, u32 ngram, i32 eos
) {
    __shared__ Bans bans;
    __shared__ Seen parts[LOGIT_THREADS];
    const u32 row = blockIdx.y, first = blockIdx.x * LOGIT_COLUMNS;
    const Turn turn = turn_of(row, history_length, position[row], limits, done[row]);
    if (!turn.running) return;
    for (Phase phase; phase.next();) {
        if (threadIdx.x < LOGIT_COLUMNS / 32) bans.words[threadIdx.x] = 0;
    }
    if (!turn.score) {
        for (Phase phase; phase.next();) {
            const i32 early_eos = i32(turn.length) < turn.least_length ? eos : -1;
            ban_repeated(bans, first, history.from(u64(row) * history_length), turn.length, ngram, early_eos);
        }
    }
    for (Phase phase; phase.next();) {
        float values[LOGIT_COLUMNS / LOGIT_THREADS];
        Seen mine = nothing_seen();
        #pragma unroll
        for (u32 i = 0; i < LOGIT_COLUMNS / LOGIT_THREADS; i++) {
            const u32 column = i * LOGIT_THREADS + threadIdx.x;
            values[i] = 0.0f;
            if (first + column < vocabulary) {
                values[i] = logits[u64(row) * columns + first + column];
                mine.finite &= is_finite(values[i]);
                const u64 key = bans.has(column) ? 0 : key_of(values[i], first + column);
                mine.best = key > mine.best ? key : mine.best;
            }
        }
        const float most = logit_of(mine.best);
        #pragma unroll
        for (u32 i = 0; i < LOGIT_COLUMNS / LOGIT_THREADS; i++) {
            const u32 column = i * LOGIT_THREADS + threadIdx.x;
            if (first + column < vocabulary && !bans.has(column)) mine.sum += expf(values[i] - most);
        }
        parts[threadIdx.x] = mine;
    }
    put_together(parts);
    for (Phase phase; phase.next();) {
        if (threadIdx.x == 0) seen[u64(row) * gridDim.x + blockIdx.x] = packed(parts[0]);
    }
}

// Threads that put one row together.
static const u32 ROW_THREADS = 32;
static const u32 ROWS_AT_ONCE = 32;

// One block of ROW_THREADS * ROWS_AT_ONCE threads: `step` is read by all rows before it is advanced. seen
// [rows, parts]; ring [ring_steps, rows] of {token, log-prob, flags, position}; what else happens to a row is told in
// kernels/src/launch/next_token.rs.
extern "C" __global__ void __launch_bounds__(1024) next_token_choose(
    Array<const float> logits, Array<const uint4> seen, Array<i32> history, Array<const i32> forced,
    Array<const i32> limits, Array<i64> token, Array<i64> position, Array<i32> done, Array<u32> step, Array<uint4> ring,
    u32 rows, u32 parts, u32 columns, u32 vocabulary, u32 history_length, u32 ring_steps, i32 eos
) {
    __shared__ Seen lanes[ROW_THREADS * ROWS_AT_ONCE];
    for (u32 first_row = 0; first_row < rows; first_row += ROWS_AT_ONCE) {
        for (Phase phase; phase.next();) {
            const u32 row = first_row + threadIdx.x / ROW_THREADS;
            Seen mine = nothing_seen();
            if (row < rows && turn_of(row, history_length, position[row], limits, done[row]).running) {
                for (u32 part = threadIdx.x % ROW_THREADS; part < parts; part += ROW_THREADS) {
                    mine = together(mine, unpacked(seen[u64(row) * parts + part]));
                }
            }
            lanes[threadIdx.x] = mine;
        }
        for (Phase phase; phase.next();) {
            if (threadIdx.x % 8 != 0) continue;
            Seen sum = lanes[threadIdx.x];
            for (u32 i = 1; i < 8; i++) sum = together(sum, lanes[threadIdx.x + i]);
            lanes[threadIdx.x] = sum;
        }
        for (Phase phase; phase.next();) {
            const u32 row = first_row + threadIdx.x / ROW_THREADS;
            if (threadIdx.x % ROW_THREADS != 0 || row >= rows) continue;
            const Turn turn = turn_of(row, history_length, position[row], limits, done[row]);
            i32 chosen = -1;
            float log_prob = 0.0f;
            u32 flags = 1;
            i32 at = i32(position[row]);
            if (turn.running) {
                Seen all = lanes[threadIdx.x];
                for (u32 i = 8; i < ROW_THREADS; i += 8) all = together(all, lanes[threadIdx.x + i]);
                if (all.finite == 0) {
                    flags = 3;
                    done[row] = 1;
                } else {
                    const bool last = i32(turn.length) + 1 >= turn.max_length || turn.length + 1 >= history_length;
                    chosen = forced[u64(row) * history_length + turn.length];
                    if (i32(turn.length) + 1 == turn.max_length && turn.forced_eos >= 0) chosen = turn.forced_eos;
                    const float log_sum = logf(all.sum);
                    if (chosen < 0) {
                        // With every token banned the first is taken, as where all are equal.
                        chosen = all.best == 0 ? 0 : i32(id_of(all.best));
                        log_prob = all.best == 0 ? __uint_as_float(0xff800000u) : -log_sum;
                    } else if (turn.score) {
                        log_prob = u32(chosen) < vocabulary
                            ? logits[u64(row) * columns + u32(chosen)] - logit_of(all.best) - log_sum
                            : __uint_as_float(0xff800000u);
                    }
                    const bool ends = last || (!turn.score && chosen == eos);
                    flags = ends ? 1 : 0;
                    at = i32(turn.length);
                    history[u64(row) * history_length + turn.length] = chosen;
                    token[row] = chosen;
                    if (ends) {
                        done[row] = 1;
                    } else {
                        position[row] = turn.length;
                    }
                }
            }
            uint4 entry;
            entry.x = u32(chosen);
            entry.y = __float_as_uint(log_prob);
            entry.z = flags;
            entry.w = u32(at);
            ring[u64(step[0] % ring_steps) * rows + row] = entry;
        }
    }
    for (Phase phase; phase.next();) {
        if (threadIdx.x == 0) step[0] = step[0] + 1;
    }
}
