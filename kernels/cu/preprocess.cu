// Pictures of any size and layout to the model's input: RGB, Pillow's BICUBIC bit for bit, normalised planes.
//
// The definitions are those of kernels/src/colorimetry.rs and kernels/src/resize: two passes of 22-bit fixed-point sums with
// an 8-bit picture between them, in Pillow's order. Weights come as signed digits to the base 256, so that four samples in
// one word meet four weights in one dp4a; integer sums wrap and associate, so splitting them changes nothing. Each pass
// leaves or finds its samples in words of four that are neighbours along the axis that the second pass sums.
#include "device.cuh"

static const u32 THREADS = 256;
static const u32 FIRST_PASS_QUAD_ROWS = 2; // of four source rows each, for one block
static const u32 SECOND_PASS_ROWS = 4; // of the result, for one block

enum Format { NV12 = 0, I420 = 1, RGB8 = 2 };

// The filter of one axis. Output o sums weights[first(o)..first(o + 1)] over the source words from quad(o) on.
struct Axis {
    Array<const uint2> spans; // [outputs + 1] of {source quad, first weight}
    Array<const uint4> weights; // digits of four taps, least significant first; the fourth word is 0
};

struct Frame {
    Array<const u8> planes[3];
    u32 pitch[3];
    u32 format, width, height;
    i32 luma_offset, luma_gain, red_v, green_u, green_v, blue_u;
    bool vertical_first;
    // Vertical first: [3, target height, ceil(width / 4)]; otherwise [3, ceil(height / 4), target width].
    Array<u32> between;
    Axis horizontal, vertical;
};

static const u32 FRAME_WORDS = 18;

static __device__ __forceinline__ u32 low(u64 word) { return u32(word); }
static __device__ __forceinline__ u32 high(u64 word) { return u32(word >> 32); }

// Entry `i` of the table that kernels/src/launch/preprocess makes.
static __device__ __forceinline__ Frame frame_at(Array<const u64> frames, u32 i, u32 target_width, u32 target_height) {
    const Array<const u64> words = frames.from(u64(i) * FRAME_WORDS);
    Frame frame;
    frame.pitch[0] = low(words[3]);
    frame.pitch[1] = high(words[3]);
    frame.pitch[2] = low(words[4]);
    frame.format = high(words[4]);
    frame.width = low(words[5]);
    frame.height = high(words[5]);
    frame.luma_offset = i32(low(words[6]));
    frame.luma_gain = i32(high(words[6]));
    frame.red_v = i32(low(words[7]));
    frame.green_u = i32(high(words[7]));
    frame.green_v = i32(low(words[8]));
    frame.blue_u = i32(high(words[8]));
    frame.vertical_first = words[9] != 0;
    const u64 chroma_width = (u64(frame.width) + 1) / 2, chroma_height = (u64(frame.height) + 1) / 2;
    u64 row[3] = {frame.width, 0, 0}; // bytes of pixels in a row of each plane
    if (frame.format == NV12) {
        row[1] = 2 * chroma_width;
    } else if (frame.format == I420) {
        row[1] = row[2] = chroma_width;
    } else {
        row[0] = 3 * u64(frame.width);
    }
    for (u32 plane = 0; plane < 3; plane++) {
        const u64 rows = plane == 0 ? frame.height : chroma_height;
        const u64 bytes = row[plane] == 0 ? 0 : (rows - 1) * frame.pitch[plane] + row[plane];
        frame.planes[plane] = Array<const u8>::at(words[plane], bytes);
    }
    const u64 between = frame.vertical_first ? u64(target_height) * ((u64(frame.width) + 3) / 4)
                                             : u64(target_width) * ((u64(frame.height) + 3) / 4);
    frame.between = Array<u32>::at(words[10], 3 * between);
    frame.horizontal.spans = Array<const uint2>::at(words[11], u64(target_width) + 1);
    frame.horizontal.weights = Array<const uint4>::at(words[12], words[13]);
    frame.vertical.spans = Array<const uint2>::at(words[14], u64(target_height) + 1);
    frame.vertical.weights = Array<const uint4>::at(words[15], words[16]);
    return frame;
}

// `count` bytes from `offset` on, at most four, the first in the lowest byte.
static __device__ __forceinline__ u32 read_bytes(Array<const u8> bytes, u64 offset, u32 count, bool whole_words) {
    if (count >= 4 && whole_words && offset % 4 == 0) return bytes.as<const u32>()[offset / 4];
    u32 word = 0;
    for (u32 i = 0; i < 4 && i < count; i++) word |= u32(bytes[offset + i]) << (8 * i);
    return word;
}

static __device__ __forceinline__ u32 clamped(i32 level) { return u32(level < 0 ? 0 : level > 255 ? 255 : level); }

// Four neighbouring pixels of one row as words of red, green and blue; 0 or anything beyond the picture's right edge.
static __device__ __forceinline__ void read_rgb(const Frame& frame, u32 row, u32 quad, u32* rgb) {
    const u32 pixels = frame.width - 4 * quad; // from here to the edge
    const u64 in_row = u64(row) * frame.pitch[0];
    const bool whole = frame.planes[0].aligned(4);
    if (frame.format == RGB8) {
        const u64 offset = in_row + 12 * u64(quad);
        const u32 bytes = pixels < 4 ? 3 * pixels : 12;
        const u32 a = read_bytes(frame.planes[0], offset, bytes, whole);
        const u32 b = bytes > 4 ? read_bytes(frame.planes[0], offset + 4, bytes - 4, whole) : 0;
        const u32 c = bytes > 8 ? read_bytes(frame.planes[0], offset + 8, bytes - 8, whole) : 0;
        rgb[0] = (a & 0xff) | (a >> 16 & 0xff00) | (b & 0xff0000) | (c << 16 & 0xff000000);
        rgb[1] = (a >> 8 & 0xff) | (b << 8 & 0xff00) | (b >> 8 & 0xff0000) | (c << 8 & 0xff000000);
        rgb[2] = (a >> 16 & 0xff) | (b & 0xff00) | (c << 16 & 0xff0000) | (c & 0xff000000);
        return;
    }
    const u32 luma = read_bytes(frame.planes[0], in_row + 4 * u64(quad), pixels, whole);
    const u32 pairs = (pixels + 1) / 2;
    const u64 in_chroma = u64(row / 2) * frame.pitch[1];
    u32 uv; // u, v, u, v
    if (frame.format == NV12) {
        uv = read_bytes(frame.planes[1], in_chroma + 4 * u64(quad), 2 * pairs, frame.planes[1].aligned(4));
    } else {
        const u32 count = pairs < 2 ? pairs : 2;
        const u32 us = read_bytes(frame.planes[1], in_chroma + 2 * u64(quad), count, false);
        const u32 vs = read_bytes(frame.planes[2], u64(row / 2) * frame.pitch[2] + 2 * u64(quad), count, false);
        uv = (us & 0xff) | (vs << 8 & 0xff00) | (us << 8 & 0xff0000) | (vs << 16 & 0xff000000);
    }
    rgb[0] = rgb[1] = rgb[2] = 0;
    #pragma unroll
    for (u32 pair = 0; pair < 2; pair++) {
        const i32 u = i32(uv >> (16 * pair) & 0xff) - 128, v = i32(uv >> (16 * pair + 8) & 0xff) - 128;
        const i32 red = 32768 + frame.red_v * v;
        const i32 green = 32768 - frame.green_u * u - frame.green_v * v;
        const i32 blue = 32768 + frame.blue_u * u;
        #pragma unroll
        for (u32 x = 2 * pair; x < 2 * pair + 2; x++) {
            const i32 l = frame.luma_gain * (i32(luma >> (8 * x) & 0xff) - frame.luma_offset);
            rgb[0] |= clamped((l + red) >> 16) << (8 * x);
            rgb[1] |= clamped((l + green) >> 16) << (8 * x);
            rgb[2] |= clamped((l + blue) >> 16) << (8 * x);
        }
    }
}

// A weighted sum, digit by digit.
struct Sum {
    u32 digits[3];
    __device__ __forceinline__ void add(u32 samples, const uint4& weights) {
        digits[0] = dot4(samples, weights.x, digits[0]);
        digits[1] = dot4(samples, weights.y, digits[1]);
        digits[2] = dot4(samples, weights.z, digits[2]);
    }
    __device__ __forceinline__ u32 level() const {
        const u32 sum = (digits[2] << 16) + (digits[1] << 8) + digits[0] + (1u << 21);
        return clamped(i32(sum) >> 22);
    }
};

// Of four neighbours across the axis that is summed, the three channels.
struct Sums {
    Sum of[4][3];
    __device__ __forceinline__ void clear() {
        #pragma unroll
        for (u32 i = 0; i < 4; i++) {
            #pragma unroll
            for (u32 channel = 0; channel < 3; channel++) {
                of[i][channel].digits[0] = of[i][channel].digits[1] = of[i][channel].digits[2] = 0;
            }
        }
    }
    __device__ __forceinline__ u32 levels(u32 channel) const {
        u32 word = 0;
        #pragma unroll
        for (u32 i = 0; i < 4; i++) word |= of[i][channel].level() << (8 * i);
        return word;
    }
};

// Rows first: 256 columns of the result over two quads of source rows. The source is converted once, 1024 columns at a time.
static __device__ __forceinline__ void rows_first(const Frame& frame, u32 tile, u32 target_width) {
    __shared__ u32 samples[4][3][THREADS];
    PerThread<Sums> sums;
    const u32 tiles = (target_width + THREADS - 1) / THREADS, quad_rows = (frame.height - 1) / 4 + 1;
    const u32 first_x = tile % tiles * THREADS, first_row = tile / tiles * FIRST_PASS_QUAD_ROWS;
    const u32 after_x = first_x + THREADS < target_width ? first_x + THREADS : target_width;
    // Spans begin and end in the order of their outputs.
    const uint2 last = frame.horizontal.spans[after_x - 1];
    const u32 first_quad = frame.horizontal.spans[first_x].x;
    const u32 after_quad = last.x + (frame.horizontal.spans[after_x].y - last.y);
    for (u32 quad_row = first_row; quad_row < first_row + FIRST_PASS_QUAD_ROWS && quad_row < quad_rows; quad_row++) {
        for (u32 chunk = first_quad; chunk < after_quad; chunk += THREADS) {
            for (Phase phase; phase.next();) {
                const u32 quad = chunk + threadIdx.x;
                if (quad >= after_quad) continue;
                #pragma unroll
                for (u32 i = 0; i < 4; i++) {
                    u32 rgb[3] = {0, 0, 0};
                    if (4 * quad_row + i < frame.height) read_rgb(frame, 4 * quad_row + i, quad, rgb);
                    #pragma unroll
                    for (u32 channel = 0; channel < 3; channel++) samples[i][channel][threadIdx.x] = rgb[channel];
                }
            }
            for (Phase phase; phase.next();) {
                const u32 x = first_x + threadIdx.x;
                if (x >= after_x) continue;
                if (chunk == first_quad) sums().clear();
                const uint2 span = frame.horizontal.spans[x];
                const u32 begin = span.x, end = span.x + (frame.horizontal.spans[x + 1].y - span.y);
                const u32 from = begin > chunk ? begin : chunk, to = end < chunk + THREADS ? end : chunk + THREADS;
                for (u32 quad = from; quad < to; quad++) {
                    const uint4 weights = frame.horizontal.weights[span.y + (quad - begin)];
                    #pragma unroll
                    for (u32 i = 0; i < 4; i++) {
                        #pragma unroll
                        for (u32 channel = 0; channel < 3; channel++) {
                            sums().of[i][channel].add(samples[i][channel][quad - chunk], weights);
                        }
                    }
                }
            }
        }
        for (Phase phase; phase.next();) {
            const u32 x = first_x + threadIdx.x;
            if (x >= after_x) continue;
            #pragma unroll
            for (u32 channel = 0; channel < 3; channel++) {
                frame.between[(u64(channel) * quad_rows + quad_row) * target_width + x] = sums().levels(channel);
            }
        }
    }
}

// Byte i of word j becomes byte j of word i.
static __device__ __forceinline__ void transpose(const u32* from, u32* to) {
    #pragma unroll
    for (u32 i = 0; i < 4; i++) {
        to[i] = 0;
        #pragma unroll
        for (u32 j = 0; j < 4; j++) to[i] |= (from[j] >> (8 * i) & 0xff) << (8 * j);
    }
}

// Columns first: 256 quads of source columns, one row of the result. Rare (tall pictures), so that converting a pixel for
// each sum that it is in is good enough.
static __device__ __forceinline__ void columns_first(const Frame& frame, u32 tile, u32 target_height) {
    const u32 quads = (frame.width - 1) / 4 + 1, tiles = (quads + THREADS - 1) / THREADS;
    const u32 y = tile / tiles;
    for (Phase phase; phase.next();) {
        const u32 quad = tile % tiles * THREADS + threadIdx.x;
        if (quad >= quads) continue;
        Sums sums;
        sums.clear();
        const uint2 span = frame.vertical.spans[y];
        const u32 after = frame.vertical.spans[y + 1].y;
        for (u32 i = span.y; i < after; i++) {
            const u32 first_row = 4 * (span.x + (i - span.y));
            u32 rows[3][4];
            #pragma unroll
            for (u32 row = 0; row < 4; row++) {
                u32 rgb[3] = {0, 0, 0};
                if (first_row + row < frame.height) read_rgb(frame, first_row + row, quad, rgb);
                #pragma unroll
                for (u32 channel = 0; channel < 3; channel++) rows[channel][row] = rgb[channel];
            }
            const uint4 weights = frame.vertical.weights[i];
            #pragma unroll
            for (u32 channel = 0; channel < 3; channel++) {
                u32 columns[4];
                transpose(rows[channel], columns);
                #pragma unroll
                for (u32 column = 0; column < 4; column++) sums.of[column][channel].add(columns[column], weights);
            }
        }
        #pragma unroll
        for (u32 channel = 0; channel < 3; channel++) {
            frame.between[(u64(channel) * target_height + y) * quads + quad] = sums.levels(channel);
        }
    }
}

// Grid: (the most blocks that a frame needs, frames), THREADS threads. frames [frames, FRAME_WORDS].
extern "C" __global__ void __launch_bounds__(256) preprocess_first(
    Array<const u64> frames, u32 target_width, u32 target_height
) {
    const Frame frame = frame_at(frames, blockIdx.y, target_width, target_height);
    if (frame.vertical_first) {
        const u32 tiles = ((frame.width - 1) / 4 + THREADS) / THREADS;
        if (blockIdx.x < tiles * target_height) columns_first(frame, blockIdx.x, target_height);
    } else {
        const u32 quad_rows = (frame.height - 1) / 4 + 1, tiles = (target_width + THREADS - 1) / THREADS;
        const u32 groups = (quad_rows + FIRST_PASS_QUAD_ROWS - 1) / FIRST_PASS_QUAD_ROWS;
        if (blockIdx.x < tiles * groups) rows_first(frame, blockIdx.x, target_width);
    }
}

// Grid: (ceil(target_width / THREADS), ceil(target_height / SECOND_PASS_ROWS), frames), THREADS threads. levels [3, 256]:
// what the model gets for each 8-bit level of a channel; pixel_values [frames, 3, target_height, target_width].
template <class E>
static __device__ __forceinline__ void second_pass(
    Array<const u64> frames, Array<const float> levels, Array<typename E::Stored> pixel_values,
    u32 target_width, u32 target_height
) {
    __shared__ typename E::Stored values[3 * 256];
    const Frame frame = frame_at(frames, blockIdx.z, target_width, target_height);
    for (Phase phase; phase.next();) {
        for (u32 i = threadIdx.x; i < 3 * 256; i += THREADS) values[i] = E::of(levels[i]);
    }
    for (Phase phase; phase.next();) {
        const u32 x = blockIdx.x * THREADS + threadIdx.x, first_y = blockIdx.y * SECOND_PASS_ROWS;
        if (x >= target_width) continue;
        for (u32 y = first_y; y < first_y + SECOND_PASS_ROWS && y < target_height; y++) {
            const Axis& axis = frame.vertical_first ? frame.horizontal : frame.vertical;
            const u32 output = frame.vertical_first ? x : y;
            const uint2 span = axis.spans[output];
            const u32 count = axis.spans[output + 1].y - span.y;
            // Words of a line lie beside each other where rows are summed, below each other where columns are.
            const u64 quads = frame.vertical_first ? (frame.width - 1) / 4 + 1 : (frame.height - 1) / 4 + 1;
            const u64 step = frame.vertical_first ? 1 : target_width;
            const u64 plane = quads * (frame.vertical_first ? target_height : target_width);
            u64 at = frame.vertical_first ? y * quads + span.x : span.x * step + x;
            Sum sums[3] = {};
            for (u32 i = 0; i < count; i++, at += step) {
                const uint4 weights = axis.weights[span.y + i];
                #pragma unroll
                for (u32 channel = 0; channel < 3; channel++) {
                    sums[channel].add(frame.between[channel * plane + at], weights);
                }
            }
            #pragma unroll
            for (u32 channel = 0; channel < 3; channel++) {
                const u64 row = (u64(blockIdx.z) * 3 + channel) * target_height + y;
                pixel_values[row * target_width + x] = values[256 * channel + sums[channel].level()];
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(256) preprocess_second_f16(
    Array<const u64> frames, Array<const float> levels, Array<u16> pixel_values, u32 target_width, u32 target_height
) {
    second_pass<F16>(frames, levels, pixel_values, target_width, target_height);
}

extern "C" __global__ void __launch_bounds__(256) preprocess_second_f32(
    Array<const u64> frames, Array<const float> levels, Array<float> pixel_values, u32 target_width, u32 target_height
) {
    second_pass<F32>(frames, levels, pixel_values, target_width, target_height);
}
