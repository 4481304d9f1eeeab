#pragma once
#include <stddef.h>

/// A blocking connection to a server on 127.0.0.1, whose answers are lines and runs of bytes.
typedef struct {
    int socket;
    size_t start, end;
    char bytes[1 << 16];
} Connection;

/// All of these return 0, or -1 on failure.
int connection_open(Connection *connection, int port);
int connection_write(Connection *connection, const void *bytes, size_t count);
int connection_skip(Connection *connection, size_t count);
void connection_close(Connection *connection);
/// The next line without its end, valid until the next call; NULL on failure.
char *connection_line(Connection *connection);

/// Seconds on a clock that does not jump.
double seconds_now(void);
/// Fills a message's payload of 100 bytes, for each `number` other ones.
void fill_payload(char *payload, unsigned number);
enum { payload_size = 100, take_limit = 1000 };

/// What each of the connections that send does: prepares itself, and writes one batch and waits for its confirmations.
/// `number` is the connection's, from 0. Both return 0, or -1 on failure.
typedef struct {
    int (*open)(Connection *connection, int number, void *context);
    int (*send)(Connection *connection, int number, void *context);
} Sending;

/// Has `in_flight` connections send `batches` batches. Returns the seconds it took without their opening, or -1.
double send_all(int port, long batches, int in_flight, Sending sending, void *context);
