// MD5 in lanes: the 64 steps of RFC 1321 depend on each other, so one message cannot use a wide register,
// but sixteen messages can. Each kernel loads one 64-byte block of every lane, transposes the words so
// that vector i holds word i of all lanes, and runs the steps on vectors.
#include "md5_lanes.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "MD5 words are read as they lie in memory");

enum { BLOCK = 64, WORDS = 16, MAX_LANES = 16 };

typedef uint32_t vector4 __attribute__((vector_size(16)));
typedef uint32_t vector8 __attribute__((vector_size(32)));
typedef uint32_t vector16 __attribute__((vector_size(64)));

/// The four chaining words of every lane: words[j][lane].
struct lane_states {
  uint32_t words[4][MAX_LANES];
};

/// Advances all lanes of a kernel by `block_count` blocks that start at blocks[lane].
typedef void kernel_function(struct lane_states *states, const uint8_t *const blocks[], size_t block_count);

static const uint32_t initial_state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};

/// floor(2^32 * |sin(i + 1)|), RFC 1321 section 3.4.
static const uint32_t sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

/// Bits to rotate by in each of the four rounds; every fourth step has the same.
static const int turns[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

// ---- The steps, for a vector or a plain word ------------------------------------------------------

// The chain from b to the next b sets the speed, so what does not need b is summed beside it. Optimisers
// like to move the constant to the end of a sum, into the chain; a value they cannot see through stays
// where it is (a fifth faster). So the kernels name the kind of register their values live in.
#define WORD_REGISTER "r"
#if defined(__x86_64__)
#define VECTOR_REGISTER "v"
#elif defined(__aarch64__)
#define VECTOR_REGISTER "w"
#else
#error "name the constraint of this architecture's vector registers"
#endif

// Sixteen steps. `mix` is the function of b, c, d of this round, `word` the index of the word that step i takes.
#define ROUND(vector, register_kind, round, mix, word)              \
  _Pragma("clang loop unroll(full)") for (int i = 0; i < 16; i++) { \
    vector sum = a + w[(word) % WORDS] + sines[16 * (round) + i];   \
    __asm__("" : "+" register_kind(sum));                           \
    sum += (mix);                                                   \
    int turn = turns[round][i % 4];                                 \
    a = d;                                                          \
    d = c;                                                          \
    c = b;                                                          \
    b += sum << turn | sum >> (32 - turn);                          \
  }

// One block: w -> a, b, c, d. F and G are written with three operations instead of RFC 1321's four.
#define HASH_BLOCK(vector, register_kind)                           \
  do {                                                              \
    const vector a0 = a, b0 = b, c0 = c, d0 = d;                    \
    ROUND(vector, register_kind, 0, d ^ (b & (c ^ d)), i)           \
    ROUND(vector, register_kind, 1, c ^ (d & (b ^ c)), 5 * i + 1)   \
    ROUND(vector, register_kind, 2, b ^ c ^ d, 3 * i + 5)           \
    ROUND(vector, register_kind, 3, c ^ (b | ~d), 7 * i)            \
    a += a0;                                                        \
    b += b0;                                                        \
    c += c0;                                                        \
    d += d0;                                                        \
  } while (0)

#define LOAD_STATES(vector)                      \
  vector a, b, c, d;                             \
  memcpy(&a, states->words[0], sizeof a);        \
  memcpy(&b, states->words[1], sizeof b);        \
  memcpy(&c, states->words[2], sizeof c);        \
  memcpy(&d, states->words[3], sizeof d)

#define STORE_STATES()                           \
  memcpy(states->words[0], &a, sizeof a);        \
  memcpy(states->words[1], &b, sizeof b);        \
  memcpy(states->words[2], &c, sizeof c);        \
  memcpy(states->words[3], &d, sizeof d)

static void hash_blocks(uint32_t state[4], const uint8_t *bytes, size_t block_count) {
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], w[WORDS];
  for (; block_count > 0; block_count--, bytes += BLOCK) {
    memcpy(w, bytes, BLOCK);
    HASH_BLOCK(uint32_t, WORD_REGISTER);
  }
  state[0] = a, state[1] = b, state[2] = c, state[3] = d;
}

// ---- The transposes ---------------------------------------------------------------------------------

// Even and odd halves of two rows within each four words: single words, then pairs of words.
#define LOW_WORDS_4(x, y) __builtin_shufflevector(x, y, 0, 4, 1, 5)
#define HIGH_WORDS_4(x, y) __builtin_shufflevector(x, y, 2, 6, 3, 7)
#define LOW_PAIRS_4(x, y) __builtin_shufflevector(x, y, 0, 1, 4, 5)
#define HIGH_PAIRS_4(x, y) __builtin_shufflevector(x, y, 2, 3, 6, 7)

#define LOW_WORDS_8(x, y) __builtin_shufflevector(x, y, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH_WORDS_8(x, y) __builtin_shufflevector(x, y, 2, 10, 3, 11, 6, 14, 7, 15)
#define LOW_PAIRS_8(x, y) __builtin_shufflevector(x, y, 0, 1, 8, 9, 4, 5, 12, 13)
#define HIGH_PAIRS_8(x, y) __builtin_shufflevector(x, y, 2, 3, 10, 11, 6, 7, 14, 15)

#define LOW_WORDS_16(x, y) \
  __builtin_shufflevector(x, y, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define HIGH_WORDS_16(x, y) \
  __builtin_shufflevector(x, y, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define LOW_PAIRS_16(x, y) \
  __builtin_shufflevector(x, y, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define HIGH_PAIRS_16(x, y) \
  __builtin_shufflevector(x, y, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)

// The even and the odd four-word blocks of two rows.
#define EVEN_BLOCKS_16(x, y) \
  __builtin_shufflevector(x, y, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define ODD_BLOCKS_16(x, y) \
  __builtin_shufflevector(x, y, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)

// Transposes each 4 x 4 square of words in four rows.
#define TRANSPOSE_SQUARES(lanes, row)                                                   \
  do {                                                                                  \
    vector##lanes low01 = LOW_WORDS_##lanes((row)[0], (row)[1]);                        \
    vector##lanes low23 = LOW_WORDS_##lanes((row)[2], (row)[3]);                        \
    vector##lanes high01 = HIGH_WORDS_##lanes((row)[0], (row)[1]);                      \
    vector##lanes high23 = HIGH_WORDS_##lanes((row)[2], (row)[3]);                      \
    (row)[0] = LOW_PAIRS_##lanes(low01, low23);                                         \
    (row)[1] = HIGH_PAIRS_##lanes(low01, low23);                                        \
    (row)[2] = LOW_PAIRS_##lanes(high01, high23);                                       \
    (row)[3] = HIGH_PAIRS_##lanes(high01, high23);                                      \
  } while (0)

// ---- The kernels ------------------------------------------------------------------------------------

static void hash_4_lanes(struct lane_states *states, const uint8_t *const blocks[], size_t block_count) {
  LOAD_STATES(vector4);
  for (size_t at = 0; at < block_count * BLOCK; at += BLOCK) {
    vector4 w[WORDS];
    for (int first = 0; first < WORDS; first += 4) {
      for (int lane = 0; lane < 4; lane++) memcpy(&w[first + lane], blocks[lane] + at + 4 * first, sizeof w[0]);
      TRANSPOSE_SQUARES(4, w + first);
    }
    HASH_BLOCK(vector4, VECTOR_REGISTER);
  }
  STORE_STATES();
}

#if defined(__x86_64__)

__attribute__((target("avx2"))) static void hash_8_lanes(
    struct lane_states *states, const uint8_t *const blocks[], size_t block_count) {
  LOAD_STATES(vector8);
  for (size_t at = 0; at < block_count * BLOCK; at += BLOCK) {
    vector8 w[WORDS];
    for (int first = 0; first < WORDS; first += 8) {
      vector8 rows[8];
      for (int lane = 0; lane < 8; lane++) memcpy(&rows[lane], blocks[lane] + at + 4 * first, sizeof rows[0]);
      TRANSPOSE_SQUARES(8, rows);
      TRANSPOSE_SQUARES(8, rows + 4);
      for (int i = 0; i < 4; i++) {
        w[first + i] = __builtin_shufflevector(rows[i], rows[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        w[first + i + 4] = __builtin_shufflevector(rows[i], rows[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
      }
    }
    HASH_BLOCK(vector8, VECTOR_REGISTER);
  }
  STORE_STATES();
}

__attribute__((target("avx512f"))) static void hash_16_lanes(
    struct lane_states *states, const uint8_t *const blocks[], size_t block_count) {
  LOAD_STATES(vector16);
  for (size_t at = 0; at < block_count * BLOCK; at += BLOCK) {
    vector16 w[WORDS];
    for (int lane = 0; lane < 16; lane++) memcpy(&w[lane], blocks[lane] + at, sizeof w[0]);
    for (int first = 0; first < 16; first += 4) TRANSPOSE_SQUARES(16, w + first);
    // Now the squares themselves: those of column k of the four groups of rows become rows 4k ... 4k + 3.
    for (int i = 0; i < 4; i++) {
      vector16 even_top = EVEN_BLOCKS_16(w[i], w[i + 4]), odd_top = ODD_BLOCKS_16(w[i], w[i + 4]);
      vector16 even_bottom = EVEN_BLOCKS_16(w[i + 8], w[i + 12]), odd_bottom = ODD_BLOCKS_16(w[i + 8], w[i + 12]);
      w[i] = EVEN_BLOCKS_16(even_top, even_bottom);
      w[i + 4] = EVEN_BLOCKS_16(odd_top, odd_bottom);
      w[i + 8] = ODD_BLOCKS_16(even_top, even_bottom);
      w[i + 12] = ODD_BLOCKS_16(odd_top, odd_bottom);
    }
    HASH_BLOCK(vector16, VECTOR_REGISTER);
  }
  STORE_STATES();
}

bool pfs_md5_supports_lanes(int lane_count) {
  switch (lane_count) {
    case 4: return true;
    case 8: return __builtin_cpu_supports("avx2");
    case 16: return __builtin_cpu_supports("avx512f");
    default: return false;
  }
}

static kernel_function *kernel_of(int lane_count) {
  return lane_count == 16 ? hash_16_lanes : lane_count == 8 ? hash_8_lanes : hash_4_lanes;
}

#else

bool pfs_md5_supports_lanes(int lane_count) { return lane_count == 4; }

static kernel_function *kernel_of(int lane_count) {
  (void)lane_count;
  return hash_4_lanes;
}

#endif

int pfs_md5_widest_lanes(void) {
  return pfs_md5_supports_lanes(16) ? 16 : pfs_md5_supports_lanes(8) ? 8 : 4;
}

// ---- Messages into lanes ------------------------------------------------------------------------------

/// What one lane hashes: first the full blocks of its message, then the tail made of the rest and the padding.
struct lane {
  struct pfs_md5_message *message;  ///< Null when the lane is idle.
  const uint8_t *next;
  size_t block_count;  ///< Left in the message, or in the tail.
  bool in_tail;
  uint8_t tail[2 * BLOCK];
};

/// Lays out the last bytes of a message and the padding of RFC 1321 section 3.1; returns 1 or 2 blocks.
static size_t make_tail(uint8_t tail[2 * BLOCK], const uint8_t *rest, uint64_t message_byte_count) {
  size_t rest_byte_count = message_byte_count % BLOCK;
  size_t block_count = rest_byte_count + 1 + sizeof(uint64_t) <= BLOCK ? 1 : 2;
  uint64_t bit_count = message_byte_count * 8;
  memset(tail, 0, 2 * BLOCK);
  if (rest_byte_count > 0) memcpy(tail, rest, rest_byte_count);
  tail[rest_byte_count] = 0x80;
  memcpy(tail + block_count * BLOCK - sizeof bit_count, &bit_count, sizeof bit_count);
  return block_count;
}

static void enter_tail(struct lane *lane) {
  lane->block_count = make_tail(lane->tail, lane->next, lane->message->byte_count);
  lane->next = lane->tail;
  lane->in_tail = true;
}

/// The state of lane `i`, out of the columns that the kernels work on.
static void read_state(uint32_t state[4], const struct lane_states *states, int i) {
  for (int j = 0; j < 4; j++) state[j] = states->words[j][i];
}

/// Puts the next message into lane `i`.
static void load_message(struct lane *lane, struct lane_states *states, int i, struct pfs_md5_message *message) {
  for (int j = 0; j < 4; j++) states->words[j][i] = initial_state[j];
  lane->message = message;
  lane->next = message->bytes;
  lane->block_count = message->byte_count / BLOCK;
  lane->in_tail = false;
  if (lane->block_count == 0) enter_tail(lane);
}

/// Runs the kernel until the first of the busy lanes has no more blocks.
static void run_lanes(kernel_function *kernel, struct lane_states *states, struct lane lanes[], int lane_count) {
  const struct lane *shortest = NULL;
  for (int i = 0; i < lane_count; i++) {
    if (!lanes[i].message) continue;
    if (!shortest || lanes[i].block_count < shortest->block_count) shortest = &lanes[i];
  }
  // An idle lane reads what another one reads; nobody looks at its state.
  const uint8_t *blocks[MAX_LANES];
  for (int i = 0; i < lane_count; i++) blocks[i] = lanes[i].message ? lanes[i].next : shortest->next;
  size_t done = shortest->block_count;
  kernel(states, blocks, done);
  for (int i = 0; i < lane_count; i++) {
    if (!lanes[i].message) continue;
    lanes[i].next += done * BLOCK;
    lanes[i].block_count -= done;
  }
}

/// Hashes what is left of a message without the other lanes, which would only slow it down.
static void hash_alone(struct lane *lane, uint32_t state[4]) {
  hash_blocks(state, lane->next, lane->block_count);
  if (!lane->in_tail) {
    lane->next += lane->block_count * BLOCK;
    enter_tail(lane);
    hash_blocks(state, lane->next, lane->block_count);
  }
  memcpy(&lane->message->digest, state, sizeof lane->message->digest);
}

void pfs_md5_lanes(struct pfs_md5_message *messages, size_t count, int lane_count) {
  kernel_function *kernel = kernel_of(lane_count);
  struct lane_states states;
  struct lane lanes[MAX_LANES];
  uint32_t state[4];
  size_t taken = 0;
  int busy_count = 0;
  memset(&states, 0, sizeof states);
  for (int i = 0; i < lane_count; i++) {
    lanes[i].message = NULL;
    if (taken == count) continue;
    load_message(&lanes[i], &states, i, &messages[taken++]);
    busy_count++;
  }
  while (busy_count > 1) {
    run_lanes(kernel, &states, lanes, lane_count);
    for (int i = 0; i < lane_count; i++) {
      struct lane *lane = &lanes[i];
      if (!lane->message || lane->block_count > 0) continue;
      if (!lane->in_tail) {
        enter_tail(lane);
        continue;
      }
      read_state(state, &states, i);
      memcpy(&lane->message->digest, state, sizeof lane->message->digest);
      if (taken < count) {
        load_message(lane, &states, i, &messages[taken++]);
      } else {
        lane->message = NULL;
        busy_count--;
      }
    }
  }
  for (int i = 0; i < lane_count; i++) {
    if (!lanes[i].message) continue;
    read_state(state, &states, i);
    hash_alone(&lanes[i], state);
  }
}

// ---- One message in pieces ----------------------------------------------------------------------------

void pfs_md5_stream_begin(struct pfs_md5_stream *stream) {
  memset(stream, 0, sizeof *stream);
  memcpy(stream->state, initial_state, sizeof initial_state);
}

void pfs_md5_stream_update(struct pfs_md5_stream *stream, const uint8_t *bytes, size_t byte_count) {
  if (byte_count == 0) return;
  size_t held = stream->byte_count % BLOCK;
  stream->byte_count += byte_count;
  if (held > 0) {
    size_t taken = byte_count < BLOCK - held ? byte_count : BLOCK - held;
    memcpy(stream->rest + held, bytes, taken);
    if (held + taken < BLOCK) return;
    hash_blocks(stream->state, stream->rest, 1);
    bytes += taken;
    byte_count -= taken;
  }
  size_t block_count = byte_count / BLOCK;
  hash_blocks(stream->state, bytes, block_count);
  memcpy(stream->rest, bytes + block_count * BLOCK, byte_count % BLOCK);
}

struct pfs_md5_digest pfs_md5_stream_finish(const struct pfs_md5_stream *stream) {
  uint32_t state[4];
  uint8_t tail[2 * BLOCK];
  struct pfs_md5_digest digest;
  size_t block_count = make_tail(tail, stream->rest, stream->byte_count);
  memcpy(state, stream->state, sizeof state);
  hash_blocks(state, tail, block_count);
  memcpy(&digest, state, sizeof digest);
  return digest;
}
