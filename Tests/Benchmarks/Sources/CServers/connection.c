#include "connection.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int connection_open(Connection *connection, int port) {
    connection->start = connection->end = 0;
    connection->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (connection->socket < 0) return -1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return connect(connection->socket, (struct sockaddr *)&address, sizeof address);
}

void connection_close(Connection *connection) {
    if (connection->socket >= 0) close(connection->socket);
}

int connection_write(Connection *connection, const void *bytes, size_t count) {
    for (const char *at = bytes; count > 0;) {
        ssize_t written = send(connection->socket, at, count, MSG_NOSIGNAL);
        if (written <= 0) return -1;
        at += written;
        count -= (size_t)written;
    }
    return 0;
}

static int receive(Connection *connection) {
    if (connection->start == connection->end) connection->start = connection->end = 0;
    if (connection->end == sizeof connection->bytes) {
        if (connection->start == 0) return -1;
        memmove(connection->bytes, connection->bytes + connection->start, connection->end - connection->start);
        connection->end -= connection->start;
        connection->start = 0;
    }
    ssize_t count = recv(connection->socket, connection->bytes + connection->end, sizeof connection->bytes - connection->end, 0);
    if (count <= 0) return -1;
    connection->end += (size_t)count;
    return 0;
}

char *connection_line(Connection *connection) {
    size_t looked = 0;
    for (;;) {
        char *line = connection->bytes + connection->start;
        char *end = memchr(line + looked, '\n', connection->end - connection->start - looked);
        if (end) {
            connection->start = (size_t)(end - connection->bytes) + 1;
            if (end > line && end[-1] == '\r') end--;
            *end = 0;
            return line;
        }
        looked = connection->end - connection->start;
        if (receive(connection)) return NULL;
    }
}

int connection_skip(Connection *connection, size_t count) {
    for (;;) {
        size_t there = connection->end - connection->start;
        if (there >= count) {
            connection->start += count;
            return 0;
        }
        count -= there;
        connection->start = connection->end;
        if (receive(connection)) return -1;
    }
}

double seconds_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

void fill_payload(char *payload, unsigned number) {
    unsigned long long state = number * 0x9E3779B97F4A7C15ull + 1;
    for (int i = 0; i < payload_size; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        payload[i] = (char)(state >> 56);
    }
}

typedef struct {
    Connection connection;
    pthread_t thread;
    int number;
    atomic_long *left;
    Sending sending;
    void *context;
    int has_failed;
} Sender;

static void *run_sender(void *argument) {
    Sender *sender = argument;
    while (!sender->has_failed && atomic_fetch_sub(sender->left, 1) > 0)
        sender->has_failed = sender->sending.send(&sender->connection, sender->number, sender->context);
    return NULL;
}

double send_all(int port, long batches, int in_flight, Sending sending, void *context) {
    Sender *senders = calloc((size_t)in_flight, sizeof *senders);
    atomic_long left = batches;
    int has_failed = 0, running = 0;
    for (int i = 0; i < in_flight; i++) {
        Sender *sender = &senders[i];
        sender->number = i;
        sender->left = &left;
        sender->sending = sending;
        sender->context = context;
        has_failed |= connection_open(&sender->connection, port) || sending.open(&sender->connection, i, context);
    }
    double start = seconds_now();
    while (!has_failed && running < in_flight) {
        has_failed = pthread_create(&senders[running].thread, NULL, run_sender, &senders[running]);
        if (!has_failed) running++;
    }
    for (int i = 0; i < running; i++) {
        pthread_join(senders[i].thread, NULL);
        has_failed |= senders[i].has_failed;
    }
    double seconds = seconds_now() - start;
    for (int i = 0; i < in_flight; i++) connection_close(&senders[i].connection);
    free(senders);
    return has_failed ? -1 : seconds;
}
