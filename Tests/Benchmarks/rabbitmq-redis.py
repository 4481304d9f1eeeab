"""A consumer as it is often written: Python's pika, with Redis SET NX for what was done. Prints its rate as a line of JSON.

rabbitmq-redis.py URL QUEUE MESSAGES PREFETCH REDIS-PORT
"""

import json
import sys
import time

import pika
import redis

url, queue = sys.argv[1:3]
messages, prefetch, port = map(int, sys.argv[3:6])
done = redis.Redis(port=port)
balances = {}
channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
channel.basic_qos(prefetch_count=prefetch)
taken, start = 0, None
for method, properties, body in channel.consume(queue):
    start = start or time.monotonic()
    if done.set(properties.message_id, 1, nx=True):
        customer = int.from_bytes(body[:8], sys.byteorder)
        balances[customer] = balances.get(customer, 0) + 1
    taken += 1
    # One ack for a quarter of the prefetch, as the plain client does.
    if taken % (prefetch // 4) == 0 or taken == messages:
        channel.basic_ack(method.delivery_tag, multiple=True)
    if taken == messages:
        break
print(json.dumps({"rate": int(messages / (time.monotonic() - start))}))
channel.connection.close()
