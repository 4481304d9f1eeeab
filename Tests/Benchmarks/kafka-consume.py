"""What is usual in Python: confluent-kafka, Redis's SET NX as deduplication, a balance in Redis as the effect.

    kafka-consume.py SERVERS REDIS_PORT MESSAGES CREDITS

A batch of up to a thousand at a time: its ids in one pipeline of SET NX, the effects of the new ones in a second one, then
a commit that is waited for. Dies between the two, and the effects are lost. Writes to CREDITS how many were read.
"""

import json
import struct
import sys
import time

import redis
from confluent_kafka import Consumer

servers, port, messages, credits = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), open(sys.argv[4], "w")
store = redis.Redis(port=port)
consumer = Consumer(
    {
        "bootstrap.servers": servers, "group.id": "billing", "enable.auto.commit": False,
        "auto.offset.reset": "earliest", "queued.min.messages": 1_000_000,
        # The mock cluster answers a fetch that finds nothing only when that time is over, whatever has come meanwhile.
        "fetch.wait.max.ms": 5,
    }
)
consumer.subscribe(["orders"])
settled = before = 0
start = None
while settled < messages:
    batch = consumer.consume(1000, 0.1)
    if not batch:
        continue
    for message in batch:
        if message.error() is not None:
            sys.exit(f"{message.error()}")
    pipeline = store.pipeline(transaction=False)
    for message in batch:
        pipeline.set(message.value()[8:24], 1, nx=True, ex=7 * 86_400)
    new = pipeline.execute()
    pipeline = store.pipeline(transaction=False)
    for message, is_new in zip(batch, new):
        if is_new:
            pipeline.hincrby("balances", struct.unpack_from("<Q", message.value())[0], 1)
    pipeline.execute()
    consumer.commit(asynchronous=False)
    settled += len(batch)
    if start is None:
        start, before = time.monotonic(), settled
    print(settled, file=credits, flush=True)
seconds = time.monotonic() - start
total = sum(int(count) for count in store.hvals("balances"))
if total != messages:
    sys.exit(f"{total} in the balances, expected {messages}")
consumer.close()
print(json.dumps({"messages": messages - before, "seconds": seconds, "rate": round((messages - before) / seconds)}))
