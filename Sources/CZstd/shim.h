// From Debian's libzstd-dev. The part of it that says how much memory a compressor takes, and lets it work in memory
// that it is given, is there only for those who ask.
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>
