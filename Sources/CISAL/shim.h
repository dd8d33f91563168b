// From Debian's libisal-dev.
#include <isa-l/crc.h>
