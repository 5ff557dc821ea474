// The executable: nothing but its entry, so that tests can link all the rest.

import Glibc
import SipcoreCommand

// One heap for all threads, grown a megabyte at a time. glibc gives a thread a heap of its own, which grows by single pages
// with a system call each: 36,000 calls while a topology of 100,000 subscribers is read.
mallopt(M_ARENA_MAX, 1)
mallopt(M_TOP_PAD, 1 << 20)

await Sipcore.run()
