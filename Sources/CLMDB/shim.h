#pragma once
#include <lmdb.h>

#if defined(__linux__)
#include <sys/prctl.h>

// A variadic call, which Swift cannot make. Names the calling thread; what is longer than 15 bytes is cut off.
static inline void clmdb_name_thread(const char *name) {
    prctl(PR_SET_NAME, name, 0, 0, 0);
}
#endif
