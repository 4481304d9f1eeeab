#pragma once
// The library asks for it before its own headers.
#include <sys/time.h>
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <poll.h>
#include <sys/eventfd.h>

// Variadic calls, which Swift cannot make.
static inline amqp_rpc_reply_t crabbitmq_login_plain(
    amqp_connection_state_t connection, const char *vhost, int channels, int frame, int heartbeat,
    const amqp_table_t *properties, const char *user, const char *password) {
    return amqp_login_with_properties(
        connection, vhost, channels, frame, heartbeat, properties, AMQP_SASL_METHOD_PLAIN, user, password);
}

static inline amqp_rpc_reply_t crabbitmq_login_external(
    amqp_connection_state_t connection, const char *vhost, int channels, int frame, int heartbeat,
    const amqp_table_t *properties, const char *user) {
    return amqp_login_with_properties(
        connection, vhost, channels, frame, heartbeat, properties, AMQP_SASL_METHOD_EXTERNAL, user);
}

static inline int crabbitmq_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
