// Beam search: what a row holds goes over to the rows that continue it (spec 4.8, step 6).
//
// Rows come in groups, a group for each item; a row continues one of its own group. Within a group everything is moved in
// place: a thread reads its element of all rows before it writes any.
#include "device.cuh"

static const u32 MOST_IN_GROUP = 16;

// Grid: (ceil(units of a row / 256), caches, groups), 256 threads. `caches` holds the addresses of the self-attention
// caches, each [rows, heads, capacity, head_bytes]; `parents` [rows] the rows that are continued. Of a row's places the
// position + 1 filled ones are moved. A unit is 16 bytes, to which the caches are aligned then, or 2
// where heads are no multiple of that.
extern "C" __global__ void __launch_bounds__(256) cache_reorder(
    Array<const u64> caches, Array<const i32> parents, Array<const i64> position,
    u32 rows, u32 group, u32 heads, u32 capacity, u32 head_bytes
) {
    __shared__ i32 parent_of[MOST_IN_GROUP]; // within the group; -1 for rows that keep what they hold
    __shared__ i64 filled[MOST_IN_GROUP];
    const u32 first = blockIdx.z * group;
    const u64 row_bytes = u64(heads) * capacity * head_bytes;
    const Array<u16> cache = Array<u16>::at(caches[blockIdx.y], u64(rows) * row_bytes / 2);
    const bool wide = head_bytes % 16 == 0;
    for (Phase phase; phase.next();) {
        if (threadIdx.x >= group) continue;
        const i32 parent = parents[first + threadIdx.x] - i32(first);
        const bool moves = parent >= 0 && parent < i32(group) && parent != i32(threadIdx.x);
        parent_of[threadIdx.x] = moves ? parent : -1;
        filled[threadIdx.x] = moves ? position[first + u32(parent)] + 1 : 0;
    }
    for (Phase phase; phase.next();) {
        const u32 head_units = head_bytes / (wide ? 16 : 2);
        const u64 row_units = row_bytes / (wide ? 16 : 2);
        const u64 unit = u64(blockIdx.x) * blockDim.x + threadIdx.x;
        if (unit >= row_units) continue;
        const i64 place = i64(unit / head_units % capacity);
        uint4 held[MOST_IN_GROUP];
        #pragma unroll
        for (u32 i = 0; i < MOST_IN_GROUP; i++) {
            if (i >= group || parent_of[i] < 0 || place >= filled[i]) continue;
            const u64 from = (u64(first) + u32(parent_of[i])) * row_units + unit;
            if (wide) {
                held[i] = cache.as<uint4>()[from];
            } else {
                held[i].x = cache[from];
            }
        }
        #pragma unroll
        for (u32 i = 0; i < MOST_IN_GROUP; i++) {
            if (i >= group || parent_of[i] < 0 || place >= filled[i]) continue;
            const u64 to = (u64(first) + i) * row_units + unit;
            if (wide) {
                cache.as<uint4>()[to] = held[i];
            } else {
                cache[to] = u16(held[i].x);
            }
        }
    }
}
