// The state that vector instructions leave in the CPU.
#ifndef PFS_VECTOR_STATE_H
#define PFS_VECTOR_STATE_H

// Clears the upper halves of the vector registers. ISA-L's wide CRC leaves them filled, and as long as they are, code
// built for plain SSE2, such as the system's zlib, runs a third slower on some CPUs (measured: see the decision in docs).
void pfs_clear_upper_vectors(void);

#endif
