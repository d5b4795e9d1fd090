// What this processor can do at most with all its threads, as one line of JSON: bytes read from memory in
// GB/s, and products per second (TMAC/s) of 8-bit integers (AVX2, AVX-512 VNNI) and of bfloat16 (AMX), from
// registers that hold everything: no loop that reads its operands can be faster. `make bench-engine`
// compiles it with `cc -O3 -march=native -fopenmp`; a unit that is not there is null. Best of five.

#define _GNU_SOURCE
#include <immintrin.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static double read_gb_s(void) {
    size_t count = (size_t)1 << 27; // 1 GiB
    uint64_t *numbers = aligned_alloc(64, count * sizeof *numbers);
    if (!numbers) return 0;
#pragma omp parallel for
    for (size_t i = 0; i < count; i++) numbers[i] = i;
    double best = 0;
    volatile uint64_t kept;
    for (int run = 0; run < 5; run++) {
        uint64_t sum = 0;
        double started = omp_get_wtime();
#pragma omp parallel for reduction(+ : sum)
        for (size_t i = 0; i < count; i++) sum += numbers[i];
        double speed = count * sizeof *numbers / (omp_get_wtime() - started) / 1e9;
        kept = sum;
        if (speed > best) best = speed;
    }
    (void)kept;
    free(numbers);
    return best;
}

#ifdef __AVX2__
// Products of bytes have 16 bits, and are summed up in these as long as they fit.
#define PAIR(register) "vpmaddubsw %%ymm14, %%ymm15, %%ymm13\n" \
                       "vpaddw %%ymm13, %%ymm" register ", %%ymm" register "\n"

static double avx2_tmac_s(void) {
    enum { STEPS = 20000000, SUMS = 12 };
    double best = 0;
    for (int run = 0; run < 5; run++) {
        double started = omp_get_wtime();
#pragma omp parallel
        {
            long steps = STEPS;
            __asm__ volatile("vpxor %%ymm14, %%ymm14, %%ymm14\n"
                             "vpxor %%ymm15, %%ymm15, %%ymm15\n"
                             "1:\n" PAIR("0") PAIR("1") PAIR("2") PAIR("3") PAIR("4") PAIR("5") PAIR("6")
                             PAIR("7") PAIR("8") PAIR("9") PAIR("10") PAIR("11")
                             "dec %0\n"
                             "jnz 1b\n"
                             : "+r"(steps)
                             :
                             : "ymm0", "ymm1", "ymm2", "ymm3", "ymm4", "ymm5", "ymm6", "ymm7", "ymm8",
                               "ymm9", "ymm10", "ymm11", "ymm13", "ymm14", "ymm15", "cc");
        }
        double macs = 32.0 * SUMS * STEPS * omp_get_max_threads();
        double speed = macs / (omp_get_wtime() - started) / 1e12;
        if (speed > best) best = speed;
    }
    return best;
}
#else
static double avx2_tmac_s(void) { return 0; }
#endif

#ifdef __AVX512VNNI__
#define SUM(register) "vpdpbusd %%zmm31, %%zmm30, %%zmm" register "\n"

static double vnni_tmac_s(void) {
    enum { STEPS = 20000000, SUMS = 12 };
    double best = 0;
    for (int run = 0; run < 5; run++) {
        double started = omp_get_wtime();
#pragma omp parallel
        {
            // Twelve sums, written out: a compiler that keeps them in memory measures memory.
            long steps = STEPS;
            __asm__ volatile("vpxord %%zmm30, %%zmm30, %%zmm30\n"
                             "vpxord %%zmm31, %%zmm31, %%zmm31\n"
                             "1:\n" SUM("0") SUM("1") SUM("2") SUM("3") SUM("4") SUM("5") SUM("6")
                             SUM("7") SUM("8") SUM("9") SUM("10") SUM("11")
                             "dec %0\n"
                             "jnz 1b\n"
                             : "+r"(steps)
                             :
                             : "zmm0", "zmm1", "zmm2", "zmm3", "zmm4", "zmm5", "zmm6", "zmm7", "zmm8",
                               "zmm9", "zmm10", "zmm11", "zmm30", "zmm31", "cc");
        }
        double macs = 64.0 * SUMS * STEPS * omp_get_max_threads();
        double speed = macs / (omp_get_wtime() - started) / 1e12;
        if (speed > best) best = speed;
    }
    return best;
}
#else
static double vnni_tmac_s(void) { return 0; }
#endif

#ifdef __AMX_BF16__
static double amx_tmac_s(void) {
    enum { STEPS = 5000000, REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    if (syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA)) return 0;
    double best = 0;
    for (int run = 0; run < 5; run++) {
        double started = omp_get_wtime();
#pragma omp parallel
        {
            uint8_t shape[64] = {1}, values[1024];
            for (int tile = 0; tile < 8; tile++) shape[16 + 2 * tile] = 64, shape[48 + tile] = 16;
            memset(values, 0x3c, sizeof values);
            // GCC's intrinsic says that it reads eight bytes of the shape, and the rest may not be written yet.
            __asm__ volatile("" : : "r"(shape) : "memory");
            _tile_loadconfig(shape);
            _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
            _tile_loadd(4, values, 64); _tile_loadd(5, values, 64);
            _tile_loadd(6, values, 64); _tile_loadd(7, values, 64);
            for (int step = 0; step < STEPS; step++) {
                _tile_dpbf16ps(0, 4, 6); _tile_dpbf16ps(1, 4, 7);
                _tile_dpbf16ps(2, 5, 6); _tile_dpbf16ps(3, 5, 7);
            }
            _tile_release();
        }
        double macs = 4.0 * 16 * 16 * 32 * STEPS * omp_get_max_threads();
        double speed = macs / (omp_get_wtime() - started) / 1e12;
        if (speed > best) best = speed;
    }
    return best;
}
#else
static double amx_tmac_s(void) { return 0; }
#endif

static void field(const char *name, double value, const char *end) {
    if (value > 0) printf("\"%s\": %.3f%s", name, value, end);
    else printf("\"%s\": null%s", name, end);
}

int main(void) {
    printf("{");
    field("read_gb_s", read_gb_s(), ", ");
    field("avx2_tmac_s", avx2_tmac_s(), ", ");
    field("vnni_tmac_s", vnni_tmac_s(), ", ");
    field("amx_tmac_s", amx_tmac_s(), "}\n");
    return 0;
}
