// Whether memory holds nothing but zero bytes.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Whether all bytes are zero; true when there are none. Reads each byte at most once.
bool pfs_is_all_zero(const uint8_t *bytes, size_t byte_count);
