// New keys and values into the caches of a decoding batch, and the place they take opened in the mask.
#include "device.cuh"

// Grid: (2 * layers, rows). `pointers` is [2 * layers, 2]: address of the new keys or values [rows, heads, 1, head_size],
// address of their cache [rows, heads, capacity, head_size]. Row r gets place position[r]; a row that is done or full
// is left alone.
template <class E>
static __device__ __forceinline__ void cache_append(
    Array<const u64> pointers, Array<const i64> position, Array<const i32> done, Array<typename E::Stored> mask,
    u32 rows, u32 heads, u32 capacity, u32 head_size
) {
    typedef typename E::Stored T;
    const u32 entry = blockIdx.x, row = blockIdx.y;
    const i64 place = position[row];
    if (done[row] != 0 || place < 0 || place >= capacity) return;
    const u64 elements = u64(rows) * heads * head_size;
    const Array<const T> fresh = Array<const T>::at(pointers[2 * entry], elements);
    const Array<T> cache = Array<T>::at(pointers[2 * entry + 1], elements * capacity);
    const u32 vector = 16 / sizeof(T);
    const bool aligned = head_size % vector == 0 && fresh.aligned(16) && cache.aligned(16);
    for (Phase phase; phase.next();) {
        if (entry == 0 && threadIdx.x == 0) mask[u64(row) * capacity + place] = E::of(0.0f);
        // A head is `width` units of 16 bytes, or of one element where they do not fit.
        const u32 width = aligned ? head_size / vector : head_size;
        for (u32 i = threadIdx.x; i < heads * width; i += blockDim.x) {
            const u64 from = u64(row) * heads * width + i;
            const u64 to = ((u64(row) * heads + i / width) * capacity + place) * width + i % width;
            if (aligned) {
                cache.template as<uint4>()[to] = fresh.template as<const uint4>()[from];
            } else {
                cache[to] = fresh[from];
            }
        }
    }
}

extern "C" __global__ void cache_append_f16(
    Array<const u64> pointers, Array<const i64> position, Array<const i32> done, Array<u16> mask,
    u32 rows, u32 heads, u32 capacity, u32 head_size
) {
    cache_append<F16>(pointers, position, done, mask, rows, heads, capacity, head_size);
}

extern "C" __global__ void cache_append_f32(
    Array<const u64> pointers, Array<const i64> position, Array<const i32> done, Array<float> mask,
    u32 rows, u32 heads, u32 capacity, u32 head_size
) {
    cache_append<F32>(pointers, position, done, mask, rows, heads, capacity, head_size);
}
