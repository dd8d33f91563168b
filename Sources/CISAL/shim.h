// From Debian's libisal-dev.
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

// What Swift cannot read from the macro: the memory beside the stream that level 1 asks for.
enum { PFS_IGZIP_LEVEL_1_BYTE_COUNT = ISAL_DEF_LVL1_DEFAULT };
