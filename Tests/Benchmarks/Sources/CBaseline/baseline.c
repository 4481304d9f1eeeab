#define _GNU_SOURCE
#include "CBaseline.h"
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

// MARK: Hashes: SipHash-2-4 by Aumasson and Bernstein, XXH64 by Collet

static inline uint64_t rotl(uint64_t x, int b) { return x << b | x >> (64 - b); }
static inline uint64_t load(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return v; }

#define ROUND v0 += v1; v1 = rotl(v1, 13) ^ v0; v0 = rotl(v0, 32); v2 += v3; v3 = rotl(v3, 16) ^ v2; \
    v0 += v3; v3 = rotl(v3, 21) ^ v0; v2 += v1; v1 = rotl(v1, 17) ^ v2; v2 = rotl(v2, 32);

static uint64_t siphash(const uint8_t *bytes, size_t length) {
    uint64_t v0 = 0x736f6d6570736575 ^ 1, v1 = 0x646f72616e646f6d ^ 2, v2 = 0x6c7967656e657261 ^ 1, v3 = 0x7465646279746573 ^ 2;
    size_t at = 0;
    for (; at + 8 <= length; at += 8) { uint64_t m = load(bytes + at); v3 ^= m; ROUND ROUND v0 ^= m; }
    uint64_t last = (uint64_t)length << 56;
    for (int shift = 0; at < length; at++, shift += 8) last |= (uint64_t)bytes[at] << shift;
    v3 ^= last; ROUND ROUND v0 ^= last; v2 ^= 0xff; ROUND ROUND ROUND ROUND
    return v0 ^ v1 ^ v2 ^ v3;
}

#define P1 0x9E3779B185EBCA87ull
#define P2 0xC2B2AE3D27D4EB4Full
#define P3 0x165667B19E3779F9ull
#define P4 0x85EBCA77C2B2AE63ull
#define P5 0x27D4EB2F165667C5ull

static uint64_t lane(uint64_t a, uint64_t m) { return rotl(a + m * P2, 31) * P1; }

static uint64_t xxh64(const uint8_t *p, size_t length, uint64_t seed) {
    const uint8_t *end = p + length;
    uint64_t v[4] = {seed + P1 + P2, seed + P2, seed, seed - P1}, h;
    for (; p + 32 <= end; p += 32) for (int i = 0; i < 4; i++) v[i] = lane(v[i], load(p + 8 * i));
    h = rotl(v[0], 1) + rotl(v[1], 7) + rotl(v[2], 12) + rotl(v[3], 18);
    for (int i = 0; i < 4; i++) h = (h ^ lane(0, v[i])) * P1 + P4;
    h += length;
    for (; p + 8 <= end; p += 8) h = rotl(h ^ lane(0, load(p)), 27) * P1 + P4;
    for (; p < end; p++) h = rotl(h ^ (*p * P5), 11) * P1;
    h = (h ^ h >> 33) * P2; h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
}

// MARK: The index: 1024 open-addressing segments of 8-byte slots

typedef struct { uint64_t *slots; uint32_t mask, count; } Segment;
static Segment segments[1024];

static void place(Segment *s, uint64_t slot) {
    uint32_t at = (uint32_t)(slot >> 32) & s->mask;
    while (s->slots[at]) at = (at + 1) & s->mask;
    s->slots[at] = slot;
}

static int find_or_insert(uint64_t fingerprint, uint32_t sequence) {
    Segment *s = &segments[fingerprint & 1023];
    uint32_t tag = (uint32_t)(fingerprint >> 10);
    if (!tag) tag = 1;
    int found = 0;
    for (uint32_t at = tag & s->mask; s->slots[at]; at = (at + 1) & s->mask) found += (uint32_t)(s->slots[at] >> 32) == tag;
    if ((s->count + 1) * 5 > (s->mask + 1) * 4) {
        Segment old = *s;
        s->mask = old.mask * 2 + 1;
        s->slots = calloc(s->mask + 1ul, 8);
        for (uint32_t i = 0; i <= old.mask; i++) if (old.slots[i]) place(s, old.slots[i]);
        free(old.slots);
    }
    place(s, (uint64_t)tag << 32 | sequence);
    s->count++;
    return found;
}

// MARK: LMDB

static MDB_env *open_env(const char *folder, MDB_dbi *table, unsigned flags) {
    MDB_env *env;
    MDB_txn *txn;
    if (mdb_env_create(&env) || mdb_env_set_mapsize(env, 1ull << 36) || mdb_env_set_maxdbs(env, 4)
        || mdb_env_open(env, folder, MDB_NOTLS, 0600) || mdb_txn_begin(env, NULL, 0, &txn)
        || mdb_dbi_open(txn, "table", MDB_CREATE | flags, table) || mdb_txn_commit(txn)) return NULL;
    return env;
}

// What is there before the clock starts is written without a flush, and flushed once.
static int filled(MDB_env *env) { return mdb_env_sync(env, 1) || mdb_env_set_flags(env, MDB_NOSYNC, 0); }

static size_t write_entry(uint8_t *entry, const uint8_t *ids, const uint64_t *fingerprints, size_t count, size_t slots) {
    size_t offsets_at = 32 + slots * 2, records_at = offsets_at + count * 4, at = records_at;
    uint16_t *directory = (uint16_t *)(entry + 32);
    memset(entry, 0, offsets_at);
    for (size_t i = 0; i < count; i++) {
        size_t slot = fingerprints[i] >> 20 & (slots - 1);
        while (directory[slot]) slot = (slot + 1) & (slots - 1);
        directory[slot] = (uint16_t)(i + 1);
        uint32_t offset = (uint32_t)(at - records_at);
        memcpy(entry + offsets_at + i * 4, &offset, 4);
        memset(entry + at, 0, 16);
        entry[at] = 17; entry[at + 1] = 1; entry[at + 16] = 1;
        memcpy(entry + at + 17, ids + i * 16, 16);
        at += 33;
    }
    uint64_t sum = xxh64(entry + 16, at - 16, 1);
    memcpy(entry + 8, &sum, 8);
    return at;
}

static size_t slots_for(size_t count) {
    size_t slots = 4;
    while (slots * 3 < count * 4) slots *= 2;
    return slots;
}

double baseline_journal(const char *folder, const uint8_t *ids, size_t before, size_t count, size_t batch) {
    MDB_dbi table;
    MDB_env *env = open_env(folder, &table, MDB_INTEGERKEY);
    if (!env) return -1;
    for (int i = 0; i < 1024; i++) segments[i] = (Segment){calloc(8, 8), 7, 0};
    uint64_t *fingerprints = malloc(batch * 8);
    double start = now(), seconds = -1;
    size_t sequence = 1, found = 0;
    if (before && mdb_env_set_flags(env, MDB_NOSYNC, 1)) goto out;
    for (size_t at = 0; at < count; at += batch, sequence++) {
        if (before && at == before) {
            if (filled(env)) goto out;
            start = now();
        }
        size_t n = count - at < batch ? count - at : batch, slots = slots_for(n);
        uint8_t key[17] = {1};
        for (size_t i = 0; i < n; i++) {
            memcpy(key + 1, ids + (at + i) * 16, 16);
            fingerprints[i] = siphash(key, 17);
            found += find_or_insert(fingerprints[i], (uint32_t)sequence);
        }
        MDB_txn *txn;
        MDB_val k = {8, &sequence}, v = {32 + slots * 2 + n * 37, NULL};
        if (mdb_txn_begin(env, NULL, 0, &txn)) goto out;
        if (mdb_put(txn, table, &k, &v, MDB_APPEND | MDB_RESERVE)) goto out;
        write_entry(v.mv_data, ids + at * 16, fingerprints, n, slots);
        if (mdb_txn_commit(txn)) goto out;
    }
    seconds = now() - start;
out:
    mdb_env_close(env);
    for (int i = 0; i < 1024; i++) free(segments[i].slots);
    free(fingerprints);
    return found > count / 1000 ? -1 : seconds;
}

double baseline_random_keys(const char *folder, const uint8_t *ids, size_t before, size_t count, size_t batch) {
    MDB_dbi table;
    MDB_env *env = open_env(folder, &table, 0);
    if (!env) return -1;
    double start = now(), seconds = -1;
    if (before && mdb_env_set_flags(env, MDB_NOSYNC, 1)) goto out;
    for (size_t at = 0; at < count; at += batch) {
        if (before && at == before) {
            if (filled(env)) goto out;
            start = now();
        }
        MDB_txn *txn;
        if (mdb_txn_begin(env, NULL, 0, &txn)) goto out;
        for (size_t i = at; i < count && i < at + batch; i++) {
            uint64_t value = i;
            MDB_val k = {16, (void *)(ids + i * 16)}, v = {8, &value};
            int result = mdb_put(txn, table, &k, &v, MDB_NOOVERWRITE);
            if (result && result != MDB_KEYEXIST) goto out;
        }
        if (mdb_txn_commit(txn)) goto out;
    }
    seconds = now() - start;
out:
    mdb_env_close(env);
    return seconds;
}

static int open_log(const char *folder) {
    char path[4096];
    snprintf(path, sizeof path, "%s/log", folder);
    return open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
}

double baseline_append(const char *folder, size_t size, size_t count) {
    int file = open_log(folder);
    if (file < 0) return -1;
    uint8_t *bytes = malloc(size);
    for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(i * 0x9E3779B9u >> 24);
    double start = now(), seconds = -1;
    for (size_t n = 0; n < count; n++)
        if (write(file, bytes, size) != (ssize_t)size || fdatasync(file)) goto out;
    seconds = now() - start;
out:
    close(file);
    free(bytes);
    return seconds;
}

double baseline_floor(const char *folder, const uint8_t *ids, size_t count, size_t batch) {
    int file = open_log(folder);
    if (file < 0) return -1;
    uint8_t *entry = malloc(64 + slots_for(batch) * 2 + batch * 37);
    uint64_t *fingerprints = calloc(batch, 8);
    double start = now(), seconds = -1;
    for (size_t at = 0; at < count; at += batch) {
        size_t n = count - at < batch ? count - at : batch, slots = slots_for(n);
        for (size_t i = 0; i < n; i++) fingerprints[i] = load(ids + (at + i) * 16);
        size_t size = write_entry(entry, ids + at * 16, fingerprints, n, slots);
        if (write(file, entry, size) != (ssize_t)size || fdatasync(file)) goto out;
    }
    seconds = now() - start;
out:
    close(file);
    free(entry);
    free(fingerprints);
    return seconds;
}
