#ifdef RABBITMQ
#include "connection.h"

#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fail(const char *what) {
    fprintf(stderr, "rabbitmq: %s failed\n", what);
    return -1;
}

int answered(amqp_connection_state_t connection, const char *what) {
    return amqp_get_rpc_reply(connection).reply_type == AMQP_RESPONSE_NORMAL ? 0 : fail(what);
}

static int login(amqp_connection_state_t connection, const char *url) {
    char *text = strdup(url);
    struct amqp_connection_info to;
    amqp_default_connection_info(&to);
    int status = amqp_parse_url(text, &to) == AMQP_STATUS_OK ? 0 : fail("reading the url");
    if (status == 0) {
        amqp_socket_t *socket = amqp_tcp_socket_new(connection);
        if (!socket || amqp_socket_open(socket, to.host, to.port) != AMQP_STATUS_OK) status = fail("connecting");
    }
    if (status == 0) {
        amqp_rpc_reply_t reply =
            amqp_login(connection, to.vhost, 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, to.user, to.password);
        if (reply.reply_type != AMQP_RESPONSE_NORMAL) status = fail("logging in");
    }
    free(text);
    return status;
}

amqp_connection_state_t connected(const char *url) {
    amqp_connection_state_t connection = amqp_new_connection();
    if (!connection) return NULL;
    if (login(connection, url) == 0) {
        amqp_channel_open(connection, 1);
        if (answered(connection, "opening a channel") == 0) return connection;
    }
    amqp_destroy_connection(connection);
    return NULL;
}

void disconnect(amqp_connection_state_t connection) {
    amqp_connection_close(connection, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(connection);
}

long waiting(amqp_connection_state_t connection, const char *queue) {
    amqp_queue_declare_ok_t *found =
        amqp_queue_declare(connection, 1, amqp_cstring_bytes(queue), 1, 0, 0, 0, amqp_empty_table);
    return found ? (long)found->message_count : fail("asking for the queue");
}

int plain_declare(const char *url, const char *queue, const char *kind) {
    amqp_connection_state_t connection = connected(url);
    if (!connection) return -1;
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes("x-queue-type"),
                                .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(kind)}};
    amqp_table_t arguments = {.num_entries = 1, .entries = &entry};
    amqp_queue_declare(connection, 1, amqp_cstring_bytes(queue), 0, 1, 0, 0, arguments);
    int status = answered(connection, "making the queue");
    disconnect(connection);
    return status;
}
#endif
