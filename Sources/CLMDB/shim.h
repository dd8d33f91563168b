// From Debian's liblmdb-dev.
#include <lmdb.h>
