// A malloc that hands out memory which the caller has: for libraries that take a malloc, and nothing else.
#ifndef PFS_LENT_MEMORY_H
#define PFS_LENT_MEMORY_H

#include <stddef.h>

// From now on pfs_lent_malloc has the next allocation of this thread from these bytes, or refuses it when it is larger.
void pfs_lend_memory(void *base, size_t byte_count);

// Ends that, and says how many bytes were asked for since; 0 when none were.
size_t pfs_take_back_memory(void);

// What was lent, once; else as malloc and free.
void *pfs_lent_malloc(size_t byte_count);
void pfs_lent_free(void *memory);

#endif
