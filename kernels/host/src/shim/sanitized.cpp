// The kernels as a program of their own, to be compiled with sanitizers: no bounds but those of the heap. Commands come on
// the standard input, numbers as this machine has them:
//
//     P bytes:u64 content        -> address:u64            memory of exactly that size, aligned to 256 bytes
//     G address:u64 bytes:u64    -> content                what memory holds
//     L name_bytes:u64 name grid:3*u32 block:3*u32 count:u64 arguments
//                                -> failed:u64, and where it is 1 bytes:u64 words
//     C                                                    frees all memory
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "kernels.h"

template <class T>
static bool take(T* values, u64 count) {
    return count == 0 || std::fread(values, sizeof(T), count, stdin) == count;
}

static bool give(const void* bytes, u64 count) { return count == 0 || std::fwrite(bytes, 1, count, stdout) == count; }

static bool put(std::vector<void*>& memory) {
    u64 bytes;
    void* place = nullptr;
    if (!take(&bytes, 1) || posix_memalign(&place, 256, bytes) != 0) return false;
    memory.push_back(place);
    const u64 address = reinterpret_cast<std::uintptr_t>(place);
    return take(static_cast<u8*>(place), bytes) && give(&address, sizeof address);
}

static bool get() {
    u64 range[2];
    return take(range, 2) && give(reinterpret_cast<const void*>(static_cast<std::uintptr_t>(range[0])), range[1]);
}

static bool launch() {
    u64 name_bytes, count;
    if (!take(&name_bytes, 1)) return false;
    std::string name(name_bytes, ' ');
    u32 grid[3], block[3];
    if (!take(&name[0], name_bytes) || !take(grid, 3) || !take(block, 3) || !take(&count, 1)) return false;
    std::vector<Argument> arguments(count);
    if (!take(arguments.data(), count)) return false;
    u64 failed = 0;
    std::string words;
    try {
        run_kernel(
            name, dim3{grid[0], grid[1], grid[2]}, dim3{block[0], block[1], block[2]}, arguments.data(), count, nullptr, 0);
    } catch (const std::exception& mistake) {
        failed = 1;
        words = mistake.what();
    }
    const u64 word_bytes = words.size();
    if (!give(&failed, sizeof failed)) return false;
    return failed == 0 || (give(&word_bytes, sizeof word_bytes) && give(words.data(), word_bytes));
}

int main() {
    std::vector<void*> memory;
    for (int command; (command = std::getchar()) != EOF;) {
        bool done = true;
        switch (command) {
            case 'P': done = put(memory); break;
            case 'G': done = get(); break;
            case 'L': done = launch(); break;
            case 'C':
                for (void* place : memory) std::free(place);
                memory.clear();
                break;
            default: done = false;
        }
        if (!done) {
            std::fprintf(stderr, "command %d was not understood\n", command);
            return 1;
        }
        std::fflush(stdout);
    }
    for (void* place : memory) std::free(place);
    return 0;
}
