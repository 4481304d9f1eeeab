#pragma once
#include <stddef.h>
#include <stdint.h>

/// What the ledger is measured against, in C: each takes `count` ids of 16 bytes in batches of `batch`, makes every batch durable
/// and returns the seconds it took, or a negative number on failure. The first `before` ids, whole batches, are there when the clock
/// starts. `folder` exists and is empty.

/// The ledger's own layout: fingerprint, index in memory, one appended journal entry a batch.
double baseline_journal(const char *folder, const uint8_t *ids, size_t before, size_t count, size_t batch);
/// One B-tree of ids.
double baseline_random_keys(const char *folder, const uint8_t *ids, size_t before, size_t count, size_t batch);
/// As many bytes as the journal's, appended to a file, fdatasync after each batch.
double baseline_floor(const char *folder, const uint8_t *ids, size_t count, size_t batch);

/// What the broker is measured against: appends `size` bytes to a file `count` times, fdatasync after each. Returns the seconds
/// it took, or a negative number on failure.
double baseline_append(const char *folder, size_t size, size_t count);

/// Makes every flush of this process take `microseconds` longer: fdatasync, and writes through a descriptor that syncs.
void baseline_delay_flushes(unsigned microseconds);
/// Flushes so far.
uint64_t baseline_flushes(void);
/// Writes all that waits to be written in the file system of `folder`.
void baseline_flush(const char *folder);
/// The median of 101 flushes of a small append in `folder`, in microseconds.
double baseline_flush_time(const char *folder);
