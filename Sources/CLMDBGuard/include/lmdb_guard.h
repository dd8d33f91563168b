// LMDB, called so that a damaged page is a code and not the end of the process.
//
// LMDB trusts its pages: a flipped bit sends it outside its map (SIGSEGV), behind the end of the file (SIGBUS) or into
// one of its assertions (abort). Each function here runs the function of LMDB that it is named for between sigsetjmp
// and a disarm, wholly in C: what siglongjmp skips are frames of LMDB, never of Swift. A fault of this thread inside
// such a call makes it return PFS_MDB_FAULT; a fault of anybody else goes to the handler that was there before.
//
// After PFS_MDB_FAULT nothing is known of the object that was used, except that a transaction may be given to
// pfs_mdb_txn_abort and an environment to pfs_mdb_env_close; where that faults as well, leave them alone for good.
#ifndef PFS_LMDB_GUARD_H
#define PFS_LMDB_GUARD_H

#include <lmdb.h>
#include <stddef.h>

// LMDB uses -30799 ... -30780 and the system positive numbers.
#define PFS_MDB_FAULT (-31001)

// Makes an environment and, once for the process, installs the handlers of SIGSEGV and SIGBUS.
int pfs_mdb_env_create(MDB_env **environment);
int pfs_mdb_env_open(MDB_env *environment, const char *path, unsigned int flags, mdb_mode_t mode);
int pfs_mdb_env_close(MDB_env *environment);
int pfs_mdb_env_set_mapsize(MDB_env *environment, size_t byte_count);
int pfs_mdb_env_stat(MDB_env *environment, MDB_stat *statistics);
int pfs_mdb_env_info(MDB_env *environment, MDB_envinfo *information);
int pfs_mdb_reader_check(MDB_env *environment, int *dead_count);

int pfs_mdb_txn_begin(MDB_env *environment, unsigned int flags, MDB_txn **transaction);
int pfs_mdb_txn_commit(MDB_txn *transaction);
int pfs_mdb_txn_abort(MDB_txn *transaction);

int pfs_mdb_dbi_open(MDB_txn *transaction, const char *name, unsigned int flags, MDB_dbi *table);
int pfs_mdb_stat(MDB_txn *transaction, MDB_dbi table, MDB_stat *statistics);
int pfs_mdb_get(MDB_txn *transaction, MDB_dbi table, MDB_val *key, MDB_val *value);
int pfs_mdb_put(MDB_txn *transaction, MDB_dbi table, MDB_val *key, MDB_val *value, unsigned int flags);
int pfs_mdb_del(MDB_txn *transaction, MDB_dbi table, MDB_val *key);

int pfs_mdb_cursor_open(MDB_txn *transaction, MDB_dbi table, MDB_cursor **cursor);
int pfs_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op operation);
int pfs_mdb_cursor_close(MDB_cursor *cursor);

// Returns MDB_CORRUPTED unless `value`, which LMDB found, can be a value of an environment with such pages: one that
// fits into a page, or one that starts an overflow page that says it is as long.
int pfs_mdb_check_value(const MDB_val *value, size_t page_byte_count);

// Copies what LMDB found out of the map, all of it or PFS_MDB_FAULT.
int pfs_mdb_copy(void *destination, const MDB_val *found);

#endif
