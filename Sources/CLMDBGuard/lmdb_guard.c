#define _GNU_SOURCE
#include "lmdb_guard.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

struct armed_call {
    sigjmp_buf place;
};

static struct sigaction previous_segv_action;
static struct sigaction previous_bus_action;
static pthread_once_t install_once = PTHREAD_ONCE_INIT;
static int install_error;

// Initial-exec, because a lazily allocated thread-local must not be first touched in a signal handler.
static __thread struct armed_call *volatile armed __attribute__((tls_model("initial-exec")));

static void pass_on(int signal_number, siginfo_t *info, void *context) {
    const struct sigaction *previous = signal_number == SIGBUS ? &previous_bus_action : &previous_segv_action;
    if ((previous->sa_flags & SA_SIGINFO) && previous->sa_sigaction) {
        previous->sa_sigaction(signal_number, info, context);
    } else if (!(previous->sa_flags & SA_SIGINFO) && previous->sa_handler != SIG_DFL &&
               previous->sa_handler != SIG_IGN) {
        previous->sa_handler(signal_number);
    } else {
        // Not ours: the access is repeated under the default action and ends the process as it would have.
        signal(signal_number, SIG_DFL);
        // One that somebody sent is not repeated by itself.
        if (info->si_code <= 0) raise(signal_number);
    }
}

static void handle_fault(int signal_number, siginfo_t *info, void *context) {
    // A signal that somebody sent is not for the call. The address says nothing: a wild pointer can point anywhere, and
    // for one that no address space has the kernel gives none.
    struct armed_call *call = info->si_code > 0 ? armed : NULL;
    if (!call) {
        pass_on(signal_number, info, context);
        return;
    }
    armed = NULL;
    // No mask is restored: with SA_NODEFER and an empty sa_mask none was changed.
    siglongjmp(call->place, 1);
}

static void handle_assertion(MDB_env *environment, const char *message) {
    (void)environment;
    (void)message;
    struct armed_call *call = armed;
    // LMDB aborts when this returns.
    if (!call) return;
    armed = NULL;
    siglongjmp(call->place, 1);
}

static void install(void) {
    struct sigaction action = {0};
    action.sa_sigaction = handle_fault;
    // SA_NODEFER: the next fault after a jump out of the handler must not kill the process unseen.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGBUS, &action, &previous_bus_action) || sigaction(SIGSEGV, &action, &previous_segv_action)) {
        install_error = errno;
    }
}

// Returns from the calling function with what `call` gives, or PFS_MDB_FAULT. Calls do not nest: LMDB calls nothing back
// but handle_assertion.
#define GUARDED(call)                                     \
    do {                                                  \
        struct armed_call this_call;                      \
        if (sigsetjmp(this_call.place, 0)) return PFS_MDB_FAULT; \
        armed = &this_call;                               \
        __atomic_signal_fence(__ATOMIC_SEQ_CST);          \
        int result = (call);                              \
        __atomic_signal_fence(__ATOMIC_SEQ_CST);          \
        armed = NULL;                                     \
        return result;                                    \
    } while (0)

#define GUARDED_VOID(call) GUARDED(((call), MDB_SUCCESS))

int pfs_mdb_env_create(MDB_env **environment) {
    int once_error = pthread_once(&install_once, install);
    if (once_error || install_error) return once_error ? once_error : install_error;
    int result = mdb_env_create(environment);
    return result ? result : mdb_env_set_assert(*environment, handle_assertion);
}

int pfs_mdb_env_open(MDB_env *environment, const char *path, unsigned int flags, mdb_mode_t mode) {
    GUARDED(mdb_env_open(environment, path, flags, mode));
}

int pfs_mdb_env_close(MDB_env *environment) { GUARDED_VOID(mdb_env_close(environment)); }

int pfs_mdb_env_set_mapsize(MDB_env *environment, size_t byte_count) {
    GUARDED(mdb_env_set_mapsize(environment, byte_count));
}

int pfs_mdb_env_stat(MDB_env *environment, MDB_stat *statistics) { GUARDED(mdb_env_stat(environment, statistics)); }

int pfs_mdb_env_info(MDB_env *environment, MDB_envinfo *information) {
    GUARDED(mdb_env_info(environment, information));
}

int pfs_mdb_reader_check(MDB_env *environment, int *dead_count) {
    GUARDED(mdb_reader_check(environment, dead_count));
}

// A write transaction locks a mutex before it looks at the meta pages. A fault in between would leave it locked with
// nobody to unlock it, in this process and all others, so the pages are looked at before.
static int touch_meta_pages(MDB_env *environment) {
    MDB_envinfo information;
    MDB_stat statistics;
    int result = mdb_env_info(environment, &information);
    return result ? result : mdb_env_stat(environment, &statistics);
}

static int begin(MDB_env *environment, unsigned int flags, MDB_txn **transaction) {
    int result = flags & MDB_RDONLY ? MDB_SUCCESS : touch_meta_pages(environment);
    return result ? result : mdb_txn_begin(environment, NULL, flags, transaction);
}

int pfs_mdb_txn_begin(MDB_env *environment, unsigned int flags, MDB_txn **transaction) {
    GUARDED(begin(environment, flags, transaction));
}

int pfs_mdb_txn_commit(MDB_txn *transaction) { GUARDED(mdb_txn_commit(transaction)); }

int pfs_mdb_txn_abort(MDB_txn *transaction) { GUARDED_VOID(mdb_txn_abort(transaction)); }

int pfs_mdb_dbi_open(MDB_txn *transaction, const char *name, unsigned int flags, MDB_dbi *table) {
    GUARDED(mdb_dbi_open(transaction, name, flags, table));
}

int pfs_mdb_stat(MDB_txn *transaction, MDB_dbi table, MDB_stat *statistics) {
    GUARDED(mdb_stat(transaction, table, statistics));
}

int pfs_mdb_get(MDB_txn *transaction, MDB_dbi table, MDB_val *key, MDB_val *value) {
    GUARDED(mdb_get(transaction, table, key, value));
}

int pfs_mdb_put(MDB_txn *transaction, MDB_dbi table, MDB_val *key, MDB_val *value, unsigned int flags) {
    GUARDED(mdb_put(transaction, table, key, value, flags));
}

int pfs_mdb_del(MDB_txn *transaction, MDB_dbi table, MDB_val *key) { GUARDED(mdb_del(transaction, table, key, NULL)); }

int pfs_mdb_cursor_open(MDB_txn *transaction, MDB_dbi table, MDB_cursor **cursor) {
    GUARDED(mdb_cursor_open(transaction, table, cursor));
}

int pfs_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op operation) {
    GUARDED(mdb_cursor_get(cursor, key, value, operation));
}

int pfs_mdb_cursor_close(MDB_cursor *cursor) { GUARDED_VOID(mdb_cursor_close(cursor)); }

// MDB_page of mdb.c: an overflow page has its flags and the number of pages before the value.
enum { page_header_byte_count = 16, flags_offset = 10, page_count_offset = 12 };
enum { overflow_flag = 0x04, dirty_flag = 0x10 };

static int check_value(const MDB_val *value, size_t page_byte_count) {
    if (value->mv_size <= page_byte_count - page_header_byte_count) return MDB_SUCCESS;
    const unsigned char *page = (const unsigned char *)value->mv_data - page_header_byte_count;
    uint16_t flags;
    uint32_t page_count;
    memcpy(&flags, page + flags_offset, sizeof flags);
    memcpy(&page_count, page + page_count_offset, sizeof page_count);
    if ((flags & ~dirty_flag) != overflow_flag) return MDB_CORRUPTED;
    size_t needed = (value->mv_size + page_header_byte_count + page_byte_count - 1) / page_byte_count;
    return page_count == needed ? MDB_SUCCESS : MDB_CORRUPTED;
}

int pfs_mdb_check_value(const MDB_val *value, size_t page_byte_count) {
    GUARDED(check_value(value, page_byte_count));
}

int pfs_mdb_copy(void *destination, const MDB_val *found) {
    GUARDED_VOID(memcpy(destination, found->mv_data, found->mv_size));
}
