// From Debian's liblz4-dev.
#include <lz4.h>
#include <lz4hc.h>
