#pragma once
#include <stdint.h>

/// How often this process has asked for memory: malloc, calloc, realloc and aligned ones, from all threads.
uint64_t allocations_count(void);
