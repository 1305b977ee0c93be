// Whole rows of the mask over the caches, from the rows' positions.
#include "device.cuh"

// Grid: (ceil(capacity / block), rows). mask [rows, capacity]: 0 over the position[r] places that are filled, `masked`
// over the others.
template <class E>
static __device__ __forceinline__ void past_mask(
    Array<const i64> position, Array<typename E::Stored> mask, u32 capacity, float masked
) {
    const u32 row = blockIdx.y;
    const i64 filled = position[row];
    for (Phase phase; phase.next();) {
        const u32 place = blockIdx.x * blockDim.x + threadIdx.x;
        if (place < capacity) mask[u64(row) * capacity + place] = E::of(place < filled ? 0.0f : masked);
    }
}

extern "C" __global__ void past_mask_f16(Array<const i64> position, Array<u16> mask, u32 capacity, float masked) {
    past_mask<F16>(position, mask, capacity, masked);
}

extern "C" __global__ void past_mask_f32(Array<const i64> position, Array<float> mask, u32 capacity, float masked) {
    past_mask<F32>(position, mask, capacity, masked);
}
