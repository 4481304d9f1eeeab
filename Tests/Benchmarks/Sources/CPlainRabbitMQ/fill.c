#ifdef RABBITMQ
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "connection.h"

enum { size = 100, batch = 1000 };

/// Customers, as many as a real shop's.
static const uint64_t customers = 23570;

static int publish(amqp_connection_state_t connection, const char *queue, const char *prefix, uint64_t number) {
    char id[64], payload[size];
    int length = snprintf(id, sizeof id, "%s-%llu", prefix, (unsigned long long)number);
    memset(payload, '.', size);
    // Spread over them by a multiplication.
    uint64_t customer = number * 0x9E3779B97F4A7C15u % customers;
    memcpy(payload, &customer, sizeof customer);
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG,
                                          .delivery_mode = 2,
                                          .message_id = {.len = (size_t)length, .bytes = id}};
    amqp_bytes_t body = {.len = size, .bytes = payload};
    int status = amqp_basic_publish(connection, 1, amqp_empty_bytes, amqp_cstring_bytes(queue), 0, 0, &properties, body);
    return status == AMQP_STATUS_OK ? 0 : fail("publishing");
}

/// Waits until all up to `last` are confirmed; confirms of one queue come in order.
static int confirmed(amqp_connection_state_t connection, uint64_t last) {
    uint64_t tag = 0;
    while (tag < last) {
        amqp_frame_t frame;
        amqp_maybe_release_buffers(connection);
        if (amqp_simple_wait_frame(connection, &frame) != AMQP_STATUS_OK) return fail("waiting for confirms");
        if (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != AMQP_BASIC_ACK_METHOD) {
            return fail("being confirmed");
        }
        tag = ((amqp_basic_ack_t *)frame.payload.method.decoded)->delivery_tag;
    }
    return 0;
}

/// Whether it is to stop; otherwise each byte of `orders` asks to be told when the queue is full.
static int stopped(int orders, int milliseconds, int *asked) {
    struct pollfd file = {.fd = orders, .events = POLLIN};
    char order;
    if (poll(&file, 1, milliseconds) <= 0) return 0;
    if (read(orders, &order, 1) <= 0) return 1;
    *asked = 1;
    return 0;
}

static long fill(amqp_connection_state_t connection, const char *queue, long level, int orders) {
    char prefix[32];
    snprintf(prefix, sizeof prefix, "%lld", (long long)time(NULL));
    uint64_t sent = 0;
    long least = -1;
    int asked = 0;
    while (!stopped(orders, 0, &asked)) {
        long count = waiting(connection, queue);
        if (count < 0) return -1;
        if (asked && count >= level) {
            puts("full");
            fflush(stdout);
            asked = 0;
            if (least < 0) least = count;
        }
        if (least >= 0 && count < least) least = count;
        if (count >= level) {
            if (stopped(orders, 1, &asked)) break;
            continue;
        }
        for (int i = 0; i < batch; i++) {
            if (publish(connection, queue, prefix, ++sent) < 0) return -1;
        }
        if (confirmed(connection, sent) < 0) return -1;
    }
    return least < 0 ? 0 : least;
}

long plain_fill(const char *url, const char *queue, long level, int orders) {
    amqp_connection_state_t connection = connected(url);
    if (!connection) return -1;
    amqp_confirm_select(connection, 1);
    long least = answered(connection, "confirms") < 0 ? -1 : fill(connection, queue, level, orders);
    disconnect(connection);
    return least;
}
#endif
