// A topic of librdkafka's mock cluster that is refilled while it is read: kafka-feed MESSAGES PARTITIONS AHEAD CUSTOMERS
//
// Prints the servers' addresses, then sends the messages of the benchmark: 100 bytes, a customer of 8 bytes in front and as
// key, behind that an id of 16 bytes. The mock cluster keeps 5 MiB of a partition and deletes what is older,
// read or not: so each line of standard input says how many messages were read so far, and no more than AHEAD are sent
// beyond that. Ends with its input.
#ifndef KAFKA
#include <stdio.h>
int main(void) {
    fputs("built without the trait Kafka\n", stderr);
    return 1;
}
#else
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

// As many go to one partition, then to the next.
static const long turn = 2000;
static atomic_long consumed;
static atomic_long failed;

static void fail(const char *what, const char *why) {
    fprintf(stderr, "kafka-feed: %s: %s\n", what, why);
    exit(1);
}

static void *hear(void *unused) {
    char line[64];
    (void)unused;
    while (fgets(line, sizeof line, stdin)) atomic_store(&consumed, atol(line));
    exit(atomic_load(&failed) > 0);
}

static void reported(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque) {
    (void)client, (void)opaque;
    if (message->err) {
        atomic_fetch_add(&failed, 1);
        fail("not sent", rd_kafka_err2str(message->err));
    }
}

// SplitMix64 by Sebastiano Vigna.
static uint64_t next(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
}

static rd_kafka_t *client(const char *servers) {
    char why[512];
    rd_kafka_conf_t *settings = rd_kafka_conf_new();
    const char *all[][2] = {
        {"log_level", "0"}, {"acks", "all"}, {"linger.ms", "5"}, {"batch.num.messages", "10000"},
        {"queue.buffering.max.messages", "200000"}, {"bootstrap.servers", servers},
        // The feed shares the processors with what is measured: no report for each message that was sent.
        {"delivery.report.only.error", "true"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (!all[i][1]) continue;
        if (rd_kafka_conf_set(settings, all[i][0], all[i][1], why, sizeof why)) fail(all[i][0], why);
    }
    rd_kafka_conf_set_dr_msg_cb(settings, reported);
    rd_kafka_t *made = rd_kafka_new(RD_KAFKA_PRODUCER, settings, why, sizeof why);
    if (!made) fail("no client", why);
    return made;
}

static void send_message(rd_kafka_t *producer, long number, long partitions, uint64_t customers) {
    uint64_t state = number, customer = next(&state) % customers, id[2] = {next(&state), number};
    char payload[100];
    memset(payload, '.', sizeof payload);
    memcpy(payload, &customer, sizeof customer);
    memcpy(payload + sizeof customer, id, sizeof id);
    for (;;) {
        rd_kafka_resp_err_t code = rd_kafka_producev(
            producer, RD_KAFKA_V_TOPIC("orders"), RD_KAFKA_V_PARTITION(number / turn % partitions),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(&customer, sizeof customer),
            RD_KAFKA_V_VALUE(payload, sizeof payload), RD_KAFKA_V_END
        );
        if (!code) return;
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) fail("not taken", rd_kafka_err2str(code));
        rd_kafka_poll(producer, 1);
    }
}

int main(int count, char **arguments) {
    if (count != 5) fail("arguments", "MESSAGES PARTITIONS AHEAD CUSTOMERS");
    long messages = atol(arguments[1]), partitions = atol(arguments[2]), ahead = atol(arguments[3]);
    uint64_t customers = strtoull(arguments[4], NULL, 10);
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(client(NULL), 1);
    if (!cluster || rd_kafka_mock_topic_create(cluster, "orders", (int)partitions, 1)) fail("mock cluster", "not made");
    printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    fflush(stdout);
    rd_kafka_t *producer = client(rd_kafka_mock_cluster_bootstraps(cluster));
    pthread_t hearing;
    pthread_create(&hearing, NULL, hear, NULL);
    for (long sent = 0; sent < messages;) {
        if (sent - atomic_load(&consumed) + turn > ahead) {
            rd_kafka_poll(producer, 1);
            continue;
        }
        for (long end = sent + turn < messages ? sent + turn : messages; sent < end; sent++)
            send_message(producer, sent, partitions, customers);
        rd_kafka_poll(producer, 0);
    }
    if (rd_kafka_flush(producer, 60000)) fail("not sent", "no report within a minute");
    pthread_join(hearing, NULL);
}
#endif
