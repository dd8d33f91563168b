// MD5 (RFC 1321) of many independent messages at once, one message in each lane of a vector register,
// and of one message that comes in pieces. No function allocates, blocks or keeps a pointer.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// The 16 bytes of a digest, in memory order.
struct pfs_md5_digest {
  uint64_t words[2];
};

/// One message to hash, and where its digest goes.
struct pfs_md5_message {
  const uint8_t *bytes;  ///< May be null when byte_count is 0.
  size_t byte_count;
  struct pfs_md5_digest digest;  ///< Written by pfs_md5_lanes.
};

/// Whether this CPU runs the kernel with so many lanes: 4 always, 8 and 16 where it has the registers.
bool pfs_md5_supports_lanes(int lane_count);

/// The lane count of the widest kernel this CPU runs: 16, 8 or 4.
int pfs_md5_widest_lanes(void);

/// Hashes all messages with the kernel of `lane_count` lanes, which must be one this CPU supports.
/// Lanes are refilled in the order given, so messages sorted from long to short keep most lanes busy.
void pfs_md5_lanes(struct pfs_md5_message *messages, size_t count, int lane_count);

/// A message that comes in pieces.
struct pfs_md5_stream {
  uint32_t state[4];
  uint64_t byte_count;  ///< So far.
  uint8_t rest[64];     ///< The last byte_count % 64 bytes.
};

/// Starts an empty message.
void pfs_md5_stream_begin(struct pfs_md5_stream *stream);

/// Appends bytes to the message.
void pfs_md5_stream_update(struct pfs_md5_stream *stream, const uint8_t *bytes, size_t byte_count);

/// The digest of the message so far, which may go on afterwards.
struct pfs_md5_digest pfs_md5_stream_finish(const struct pfs_md5_stream *stream);
