#pragma once
// The library asks for it before its own headers.
#include <sys/time.h>
#include <amqp.h>

#include "CPlainRabbitMQ.h"

/// Says what has failed; -1.
int fail(const char *what);
/// 0 if the server has answered the last request well, or -1.
int answered(amqp_connection_state_t connection, const char *what);
/// A connection with channel 1 open, or NULL.
amqp_connection_state_t connected(const char *url);
void disconnect(amqp_connection_state_t connection);
/// How many messages wait in a queue, or -1.
long waiting(amqp_connection_state_t connection, const char *queue);
