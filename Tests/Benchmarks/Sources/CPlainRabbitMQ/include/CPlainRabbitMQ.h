#pragma once

// RabbitMQ by its C library alone: what a pipeline is measured against, and who fills the queue. An url is
// amqp://user:password@host:port/vhost. What goes wrong is written to standard error.

/// Makes a durable queue of a kind, "quorum" or "classic". 0, or -1.
int plain_declare(const char *url, const char *queue, const char *kind);

/// Consumes `count` messages with `prefetch`, and acks the last of each `ack_every`, and all before it, by one ack. Returns
/// the seconds from the first message until the server has all acks, or -1.
double plain_consume(const char *url, const char *queue, int prefetch, int ack_every, long count);

/// Sends persistent messages of 100 bytes, each confirmed and each with an id of its own, whenever fewer than `level` wait,
/// until the descriptor `orders` ends. For each byte that comes from it writes "full" to standard output once so many wait.
/// Returns how few have waited since the first of these, or -1.
long plain_fill(const char *url, const char *queue, long level, int orders);
