#include "CServers.h"
#include "connection.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char *bytes;
    size_t size;
} Batch;

/// What all connections that send share.
typedef struct {
    /// One for each of them: confirmations go to the inbox that each message names.
    Batch *batches;
    int count;
} Batches;

/// A message from the server.
typedef struct {
    /// What it is answered to, "" for nothing.
    char reply[256];
    /// The beginning of its payload, where that was asked for.
    char text[512];
} Delivery;

/// The next message; answers pings on the way.
static int next_delivery(Connection *connection, Delivery *delivery, int wants_text) {
    for (;;) {
        char *line = connection_line(connection), first[256], second[256];
        if (!line) return -1;
        if (strncmp(line, "PING", 4) == 0 && connection_write(connection, "PONG\r\n", 6)) return -1;
        if (strncmp(line, "PING", 4) == 0 || strncmp(line, "INFO", 4) == 0) continue;
        // MSG subject subscription [reply] size
        int fields = sscanf(line, "MSG %*s %*s %255s %255s", first, second);
        if (fields < 1) return -1;
        strcpy(delivery->reply, fields == 2 ? first : "");
        if (!wants_text) return connection_skip(connection, strtoul(fields == 2 ? second : first, NULL, 10) + 2);
        // What the server itself says is one line.
        char *text = connection_line(connection);
        if (!text) return -1;
        snprintf(delivery->text, sizeof delivery->text, "%s", text);
        return 0;
    }
}

static int subscribe(Connection *connection, int number) {
    char text[128];
    int size = sprintf(text, "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB inbox.%d 1\r\n", number);
    return connection_write(connection, text, (size_t)size);
}

/// Publishes to `subject` and waits for an answer that is not an error, in inbox 0.
static int request(Connection *connection, const char *subject, const char *body) {
    char text[1024];
    int size = snprintf(text, sizeof text, "PUB %s inbox.0 %zu\r\n%s\r\n", subject, strlen(body), body);
    Delivery delivery;
    if (connection_write(connection, text, (size_t)size) || next_delivery(connection, &delivery, 1)) return -1;
    return strstr(delivery.text, "\"error\"") ? -1 : 0;
}

/// Calls `make` for each partition over a connection of its own.
static int for_each_partition(int port, int partitions, int (*make)(Connection *, int)) {
    Connection *connection = malloc(sizeof *connection);
    int has_failed = connection_open(connection, port) || subscribe(connection, 0);
    for (int i = 0; i < partitions && !has_failed; i++) has_failed = make(connection, i);
    connection_close(connection);
    free(connection);
    return has_failed;
}

static int make_stream(Connection *connection, int partition) {
    char subject[64], body[256];
    sprintf(subject, "$JS.API.STREAM.CREATE.ORDERS-%d", partition);
    sprintf(
        body, "{\"name\":\"ORDERS-%d\",\"subjects\":[\"orders.%d\"],\"storage\":\"file\",\"retention\":\"limits\",\"num_replicas\":1}",
        partition, partition
    );
    return request(connection, subject, body);
}

static int make_consumer(Connection *connection, int partition) {
    char subject[64], body[256];
    sprintf(subject, "$JS.API.CONSUMER.DURABLE.CREATE.ORDERS-%d.billing", partition);
    sprintf(
        body,
        "{\"stream_name\":\"ORDERS-%d\",\"config\":{\"durable_name\":\"billing\",\"deliver_policy\":\"all\",\"ack_policy\":\"all\","
        "\"max_ack_pending\":%d}}",
        partition, 2 * take_limit
    );
    return request(connection, subject, body);
}

static Batch make_batch(int count, int number, int partitions) {
    Batch batch = {malloc((size_t)count * (payload_size + 64)), 0};
    for (int n = 0; n < count; n++) {
        batch.size += (size_t)sprintf(batch.bytes + batch.size, "PUB orders.%d inbox.%d %d\r\n", n % partitions, number, payload_size);
        fill_payload(batch.bytes + batch.size, (unsigned)n);
        memcpy(batch.bytes + batch.size + payload_size, "\r\n", 2);
        batch.size += payload_size + 2;
    }
    return batch;
}

static int open_sender(Connection *connection, int number, void *context) {
    (void)context;
    return subscribe(connection, number);
}

static int send_batch(Connection *connection, int number, void *context) {
    Batches *all = context;
    if (connection_write(connection, all->batches[number].bytes, all->batches[number].size)) return -1;
    Delivery delivery;
    for (int n = 0; n < all->count; n++)
        if (next_delivery(connection, &delivery, 1) || !strstr(delivery.text, "\"seq\"")) return -1;
    return 0;
}

double nats_send(int port, long messages, int batch, int in_flight, int partitions) {
    if (for_each_partition(port, partitions, make_stream)) return -1;
    Batches all = {calloc((size_t)in_flight, sizeof(Batch)), batch};
    for (int i = 0; i < in_flight; i++) all.batches[i] = make_batch(batch, i, partitions);
    double seconds = send_all(port, messages / batch, in_flight, (Sending){open_sender, send_batch}, &all);
    for (int i = 0; i < in_flight; i++) free(all.batches[i].bytes);
    free(all.batches);
    return seconds;
}

/// Takes `count` messages of a partition and acks the last one; waits until the server has that.
static int take_once(Connection *connection, int partition, long count) {
    char text[512];
    int size = sprintf(text, "{\"batch\":%ld}", count);
    size = sprintf(
        text, "PUB $JS.API.CONSUMER.MSG.NEXT.ORDERS-%d.billing inbox.0 %d\r\n{\"batch\":%ld}\r\n", partition, size, count
    );
    if (connection_write(connection, text, (size_t)size)) return -1;
    Delivery delivery = {0};
    for (long n = 0; n < count; n++)
        if (next_delivery(connection, &delivery, 0) || !delivery.reply[0]) return -1;
    size = snprintf(text, sizeof text, "PUB %s inbox.0 4\r\n+ACK\r\n", delivery.reply);
    return connection_write(connection, text, (size_t)size) || next_delivery(connection, &delivery, 0) ? -1 : 0;
}

double nats_take(int port, long messages, int partitions) {
    if (for_each_partition(port, partitions, make_consumer)) return -1;
    Connection *connection = malloc(sizeof *connection);
    int has_failed = connection_open(connection, port) || subscribe(connection, 0);
    double start = seconds_now();
    // As many in each of them.
    for (long left = messages / partitions; left > 0 && !has_failed; left -= take_limit)
        for (int partition = 0; partition < partitions && !has_failed; partition++)
            has_failed = take_once(connection, partition, left < take_limit ? left : take_limit);
    double seconds = has_failed ? -1 : seconds_now() - start;
    connection_close(connection);
    free(connection);
    return seconds;
}
