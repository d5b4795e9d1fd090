// What the matrix unit of one core does with weights of 16 bits, of 8 bits with one scale a row, and of 8 bits with a
// scale for each 32 values, as GGUF's formats have them: GMAC/s of blocks of 32 rows by 32 columns over sums of 1,536
// values, which lie in the first cache. docs/decisions/0010-matrix-unit.md says what follows from it.
// `cc -O3 -march=native scripts/bench/tiles.c -o target/tiles && target/tiles`; best of five.

#define _GNU_SOURCE
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if !defined(__AMX_BF16__) || !defined(__AMX_INT8__)
int main(void) {
    puts("this processor has no matrix unit");
    return 0;
}
#else

enum { DEPTH = 1536, GROUPS = DEPTH / 32, SIDE = 32, REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };

static uint8_t *rows, *columns;
static float *sums, *row_scales, *column_scales;
static int32_t *products;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

// Sums in tiles 0 to 3; tiles of rows (4, 5) have `bytes` bytes a row, those of columns as many rows as fit.
static void configure(int bytes) {
    uint8_t shape[64] = {1};
    for (int tile = 0; tile < 8; tile++) shape[16 + 2 * tile] = 64, shape[48 + tile] = 16;
    shape[16 + 8] = shape[16 + 10] = bytes;
    shape[48 + 6] = shape[48 + 7] = bytes / 4;
    // GCC's intrinsic says that it reads eight bytes of the shape, and the rest may not be written yet.
    __asm__ volatile("" : : "r"(shape) : "memory");
    _tile_loadconfig(shape);
}

static void clear(void) {
    _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
}

static void store(void *to) {
    char *at = to;
    _tile_stored(0, at, 128); _tile_stored(1, at + 64, 128);
    _tile_stored(2, at + 2048, 128); _tile_stored(3, at + 2048 + 64, 128);
}

#define STEP(multiply, size, stride) \
    _tile_loadd(6, columns + step * (size), 64); _tile_loadd(4, rows + step * (size), stride); \
    multiply(0, 4, 6); \
    _tile_loadd(7, columns + (steps + step) * (size), 64); multiply(1, 4, 7); \
    _tile_loadd(5, rows + (steps + step) * (size), stride); multiply(2, 5, 6); multiply(3, 5, 7);

static void bfloat16(void) {
    const int steps = GROUPS;
    clear();
    for (int step = 0; step < steps; step++) { STEP(_tile_dpbf16ps, 1024, 64) }
    store(sums);
}

static void bytes(void) {
    const int steps = GROUPS / 2;
    clear();
    for (int step = 0; step < steps; step++) { STEP(_tile_dpbssd, 1024, 64) }
    store(products);
}

static void scaled_bytes(void) {
    const int steps = GROUPS;
    for (int step = 0; step < steps; step++) {
        clear();
        STEP(_tile_dpbssd, 512, 32)
        store(products);
        __m512 left = _mm512_load_ps(column_scales + step * SIDE);
        __m512 right = _mm512_load_ps(column_scales + step * SIDE + 16);
        for (int row = 0; row < SIDE; row++) {
            __m512 scale = _mm512_set1_ps(row_scales[step * SIDE + row]);
            for (int half = 0; half < 2; half++) {
                float *sum = sums + row * SIDE + 16 * half;
                __m512 product = _mm512_cvtepi32_ps(_mm512_load_si512(products + row * SIDE + 16 * half));
                __m512 both = _mm512_mul_ps(scale, half ? right : left);
                _mm512_store_ps(sum, _mm512_fmadd_ps(product, both, _mm512_load_ps(sum)));
            }
        }
    }
}

static double best(void (*block)(void), int bytes) {
    double most = 0;
    configure(bytes);
    for (int run = 0; run < 5; run++) {
        long blocks = 0;
        double started = seconds(), taken;
        do {
            for (int i = 0; i < 100; i++, blocks++) block();
            taken = seconds() - started;
        } while (taken < 0.3);
        double speed = (double)blocks * SIDE * SIDE * DEPTH / taken / 1e9;
        if (speed > most) most = speed;
    }
    _tile_release();
    return most;
}

static void *room(size_t size, int value) { return memset(aligned_alloc(64, size), value, size); }

int main(void) {
    if (syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA)) {
        puts("the system does not give the matrix unit");
        return 0;
    }
    rows = room(2 * GROUPS * 1024, 1);
    columns = room(2 * GROUPS * 1024, 1);
    sums = room(SIDE * SIDE * 4, 0);
    products = room(SIDE * SIDE * 4, 0);
    row_scales = room(GROUPS * SIDE * 4, 0);
    column_scales = room(GROUPS * SIDE * 4, 0);
    printf("{\"bfloat16\": %.0f, ", best(bfloat16, 64));
    printf("\"int8\": %.0f, ", best(bytes, 64));
    printf("\"int8_scaled_each_32\": %.0f}\n", best(scaled_bytes, 32));
    return 0;
}
#endif
