// Turns SIGBUS on a mapped file into a count that the reader or writer checks afterwards.
//
// A mapped page that cannot be read (bad sector, file truncated by somebody) raises SIGBUS in the thread that
// touches it. While a guard is entered for the range, the handler puts a page of zeros in place of the faulting
// one and counts; the thread goes on and learns from pfs_fault_guard_leave() that what it saw or wrote is void.
// No stack frame is skipped, so Swift frames may stand between enter and leave.
#ifndef PFS_FAULT_GUARD_H
#define PFS_FAULT_GUARD_H

#include <stddef.h>
#include <stdint.h>

struct pfs_fault_guard {
    uintptr_t low, high;
    int protection;
    volatile int fault_count;
    int *mapping_fault_count;
    struct pfs_fault_guard *outer;
};

// Installs the handler once for the process; a handler that was there before keeps all other faults.
// Returns 0 or an errno value.
int pfs_fault_guard_install(void);

// Guards [base, base + byte_count) in this thread until the matching leave; guards nest. A fault is counted in
// `mapping_fault_count` too, before zeros stand in the place of its page: no thread sees them and finds it uncounted.
void pfs_fault_guard_enter(struct pfs_fault_guard *guard, const void *base, size_t byte_count, int writable,
                           int *mapping_fault_count);

// What such a count has come to.
int pfs_fault_count(const int *mapping_fault_count);

// Ends the innermost guard and returns how many faults it caught.
int pfs_fault_guard_leave(struct pfs_fault_guard *guard);

#endif
