#define _GNU_SOURCE
#include "fault_guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sigaction previous_action;
static uintptr_t page_byte_count;
static pthread_once_t install_once = PTHREAD_ONCE_INIT;
static int install_error;

// Initial-exec, because a lazily allocated thread-local must not be first touched in a signal handler.
static __thread struct pfs_fault_guard *innermost __attribute__((tls_model("initial-exec")));

static void pass_on(int signal_number, siginfo_t *info, void *context) {
    if ((previous_action.sa_flags & SA_SIGINFO) && previous_action.sa_sigaction) {
        previous_action.sa_sigaction(signal_number, info, context);
    } else if (!(previous_action.sa_flags & SA_SIGINFO) && previous_action.sa_handler != SIG_DFL &&
               previous_action.sa_handler != SIG_IGN) {
        previous_action.sa_handler(signal_number);
    } else {
        // Not ours: the access is repeated under the default action and ends the process as it would have.
        signal(signal_number, SIG_DFL);
        // One that somebody sent is not repeated by itself.
        if (info->si_code <= 0) raise(signal_number);
    }
}

static void handle_fault(int signal_number, siginfo_t *info, void *context) {
    // A signal that somebody sent has no address.
    uintptr_t address = info->si_code > 0 ? (uintptr_t)info->si_addr : 0;
    for (struct pfs_fault_guard *guard = innermost; guard; guard = guard->outer) {
        if (address < guard->low || address >= guard->high) continue;
        int saved_errno = errno;
        __atomic_fetch_add(guard->mapping_fault_count, 1, __ATOMIC_SEQ_CST);
        void *page = (void *)(address & ~(page_byte_count - 1));
        // The system call itself: a library wrapper may not be safe in a handler.
        long mapped = syscall(SYS_mmap, page, page_byte_count, (long)guard->protection,
                              (long)(MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED), -1L, 0L);
        errno = saved_errno;
        if (mapped == (long)page) {
            guard->fault_count++;
            return;
        }
        break;
    }
    pass_on(signal_number, info, context);
}

static void install(void) {
    page_byte_count = (uintptr_t)sysconf(_SC_PAGESIZE);
    struct sigaction action = {0};
    action.sa_sigaction = handle_fault;
    // SA_NODEFER: a second fault inside a previous handler must not kill the process unseen.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGBUS, &action, &previous_action)) install_error = errno;
}

int pfs_fault_guard_install(void) {
    int once_error = pthread_once(&install_once, install);
    return once_error ? once_error : install_error;
}

void pfs_fault_guard_enter(struct pfs_fault_guard *guard, const void *base, size_t byte_count, int writable,
                           int *mapping_fault_count) {
    guard->low = (uintptr_t)base & ~(page_byte_count - 1);
    guard->high = (uintptr_t)base + byte_count;
    guard->protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    guard->fault_count = 0;
    guard->mapping_fault_count = mapping_fault_count;
    guard->outer = innermost;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    innermost = guard;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

int pfs_fault_guard_leave(struct pfs_fault_guard *guard) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    innermost = guard->outer;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return guard->fault_count;
}

int pfs_fault_count(const int *mapping_fault_count) {
    return __atomic_load_n(mapping_fault_count, __ATOMIC_SEQ_CST);
}
