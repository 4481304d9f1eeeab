#include "CServers.h"
#include "connection.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char *bytes;
    size_t size;
    int count;
} Batch;

/// All connections send the same.
static Batch make_batch(int count, int partitions) {
    Batch batch = {malloc((size_t)count * (payload_size + 80)), 0, count};
    for (int n = 0; n < count; n++) {
        char stream[16];
        int length = snprintf(stream, sizeof stream, "orders-%d", n % partitions);
        batch.size += (size_t)sprintf(
            batch.bytes + batch.size, "*5\r\n$4\r\nXADD\r\n$%d\r\n%s\r\n$1\r\n*\r\n$1\r\nm\r\n$%d\r\n", length, stream, payload_size
        );
        fill_payload(batch.bytes + batch.size, (unsigned)n);
        memcpy(batch.bytes + batch.size + payload_size, "\r\n", 2);
        batch.size += payload_size + 2;
    }
    return batch;
}

/// The length that a line like `$12` or `*3` tells; -1 for another line, an error or nothing.
static long length_of(const char *line, char kind) { return line && line[0] == kind ? atol(line + 1) : -1; }

static int skip_bulk(Connection *connection) {
    long length = length_of(connection_line(connection), '$');
    return length < 0 ? -1 : connection_skip(connection, (size_t)length + 2);
}

static int open_sender(Connection *connection, int number, void *context) {
    (void)connection, (void)number, (void)context;
    return 0;
}

static int send_batch(Connection *connection, int number, void *context) {
    (void)number;
    Batch *batch = context;
    if (connection_write(connection, batch->bytes, batch->size)) return -1;
    for (int n = 0; n < batch->count; n++)
        if (skip_bulk(connection)) return -1;
    return 0;
}

double redis_send(int port, long messages, int batch, int in_flight, int partitions) {
    Batch made = make_batch(batch, partitions);
    double seconds = send_all(port, messages / batch, in_flight, (Sending){open_sender, send_batch}, &made);
    free(made.bytes);
    return seconds;
}

/// One answer to XREAD: [[stream, [[id, [field, value]]...]]]. Returns how many entries there are, and keeps the last id.
static long read_entries(Connection *connection, char *last, size_t size) {
    if (length_of(connection_line(connection), '*') != 1 || length_of(connection_line(connection), '*') != 2) return -1;
    if (skip_bulk(connection)) return -1;
    long entries = length_of(connection_line(connection), '*');
    for (long n = 0; n < entries; n++) {
        if (length_of(connection_line(connection), '*') != 2 || length_of(connection_line(connection), '$') < 0) return -1;
        char *id = connection_line(connection);
        if (!id) return -1;
        snprintf(last, size, "%s", id);
        if (length_of(connection_line(connection), '*') != 2 || skip_bulk(connection) || skip_bulk(connection)) return -1;
    }
    return entries;
}

static int store_position(Connection *connection, int partition, const char *last) {
    char command[128];
    int size = snprintf(command, sizeof command, "SET position-%d %s\r\n", partition, last);
    if (connection_write(connection, command, (size_t)size)) return -1;
    char *answer = connection_line(connection);
    return answer && strcmp(answer, "+OK") == 0 ? 0 : -1;
}

static long take_once(Connection *connection, int partition, char *last, size_t size) {
    char command[128];
    int length = snprintf(command, sizeof command, "XREAD COUNT %d STREAMS orders-%d %s\r\n", take_limit, partition, last);
    if (connection_write(connection, command, (size_t)length)) return -1;
    long count = read_entries(connection, last, size);
    return count <= 0 || store_position(connection, partition, last) ? -1 : count;
}

double redis_take(int port, long messages, int partitions) {
    Connection *connection = malloc(sizeof *connection);
    char (*last)[64] = calloc((size_t)partitions, sizeof *last);
    for (int i = 0; i < partitions; i++) strcpy(last[i], "0");
    double start = seconds_now(), seconds = -1;
    long taken = 0;
    if (connection_open(connection, port)) goto out;
    for (int partition = 0; taken < messages; partition = (partition + 1) % partitions) {
        long count = take_once(connection, partition, last[partition], sizeof last[partition]);
        if (count < 0) goto out;
        taken += count;
    }
    seconds = taken == messages ? seconds_now() - start : -1;
out:
    connection_close(connection);
    free(connection);
    free(last);
    return seconds;
}
