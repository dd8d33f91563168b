#include "vector_state.h"

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx"))) static void clear(void) {
    _mm256_zeroupper();
}

void pfs_clear_upper_vectors(void) {
    if (__builtin_cpu_supports("avx")) clear();
}
#else
void pfs_clear_upper_vectors(void) {
}
#endif
