#pragma once

/// What the broker is measured against, each a server on 127.0.0.1 with nothing in it: a client that sends messages of
/// 100 bytes and takes them again. They return the seconds it took, or a negative number when anything but the expected
/// answer came.
///
/// Sending: each of `in_flight` connections writes a batch at once, message n of it to partition n modulo `partitions`, and
/// waits until the server has confirmed all of its messages, until `messages`, a multiple of `batch`, are sent. Taking: one
/// connection asks for up to 1000 messages at a time, a partition at a time, and then stores how far it is.

/// Redis Streams: a stream for each partition. The position is a key beside it, as a log's consumer keeps it: less work
/// for the server than a consumer group.
double redis_send(int port, long messages, int batch, int in_flight, int partitions);
double redis_take(int port, long messages, int partitions);

/// NATS JetStream: a stream in a file for each partition. A pull consumer that acks the last message of each answer, and
/// with it those before.
double nats_send(int port, long messages, int batch, int in_flight, int partitions);
double nats_take(int port, long messages, int partitions);
