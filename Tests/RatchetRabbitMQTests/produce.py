"""Publishes COUNT messages to a queue, each twice, by pika: produce.py URL QUEUE COUNT. A producer that is not ours."""

import sys

import pika

url, queue, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()
for number in [*range(count), *range(count)]:
    properties = pika.BasicProperties(
        message_id=f"id-{number}",
        delivery_mode=2,
        timestamp=1_700_000_000 + number,
        content_type="text/plain",
        headers={"number": number, "kind": "ключ", "flags": {"deep": [1, True, None]}},
    )
    channel.basic_publish("", queue, str(number).encode(), properties, mandatory=True)
connection.close()
