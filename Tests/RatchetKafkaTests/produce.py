"""Sends the purchases of a file, a part of them twice, by confluent-kafka: a producer that is not ours.

    produce.py SERVERS TOPIC FILE SHARE SEED

Each under its customer as key, and under its id in the header message-id. The share, 0 to 1, is sent again up to a
thousand purchases later. Prints how many messages are in the topic.
"""

import json
import random
import sys

from confluent_kafka import Producer

servers, topic, file, share, seed = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5])
chance = random.Random(seed)
producer = Producer(
    {"bootstrap.servers": servers, "enable.idempotence": True, "partitioner": "murmur2_random", "linger.ms": 5}
)
delivered = 0


def report(error, _):
    global delivered
    if error is not None:
        sys.exit(f"not sent: {error}")
    delivered += 1


def send(line):
    purchase = json.loads(line)
    producer.produce(
        topic, line.encode(), purchase["customer"].encode(), headers=[("message-id", purchase["id"].encode())],
        on_delivery=report,
    )
    producer.poll(0)


again = []
for number, line in enumerate(open(file)):
    line = line.rstrip("\n")
    send(line)
    if chance.random() < share:
        again.append((number + chance.randrange(1000), line))
    if number % 100 == 0:
        again.sort()
        while again and again[0][0] <= number:
            send(again.pop(0)[1])
for _, line in again:
    send(line)
producer.flush()
print(delivered)
