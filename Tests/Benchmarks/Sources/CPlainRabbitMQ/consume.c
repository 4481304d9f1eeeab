#ifdef RABBITMQ
#include <time.h>

#include "connection.h"

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/// Takes one message and gives it up again; its tag, or 0.
static uint64_t take(amqp_connection_state_t connection) {
    amqp_envelope_t envelope;
    amqp_maybe_release_buffers(connection);
    amqp_rpc_reply_t reply = amqp_consume_message(connection, &envelope, NULL, 0);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        fail("consuming");
        return 0;
    }
    uint64_t tag = envelope.delivery_tag;
    amqp_destroy_envelope(&envelope);
    return tag;
}

static double consume(amqp_connection_state_t connection, const char *queue, int prefetch, int ack_every, long count) {
    amqp_basic_qos(connection, 1, 0, (uint16_t)prefetch, 0);
    if (answered(connection, "the prefetch") < 0) return -1;
    amqp_basic_consume(connection, 1, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
    if (answered(connection, "consuming") < 0) return -1;
    double start = 0;
    for (long taken = 1; taken <= count; taken++) {
        uint64_t tag = take(connection);
        if (tag == 0) return -1;
        if (taken == 1) start = now();
        if (taken % ack_every != 0 && taken != count) continue;
        if (amqp_basic_ack(connection, 1, tag, 1) != AMQP_STATUS_OK) return fail("an ack");
    }
    // Answered behind the acks.
    amqp_basic_qos(connection, 1, 0, (uint16_t)prefetch, 0);
    return answered(connection, "the acks") < 0 ? -1 : now() - start;
}

double plain_consume(const char *url, const char *queue, int prefetch, int ack_every, long count) {
    amqp_connection_state_t connection = connected(url);
    if (!connection) return -1;
    double seconds = consume(connection, queue, prefetch, ack_every, count);
    disconnect(connection);
    return seconds;
}
#endif
