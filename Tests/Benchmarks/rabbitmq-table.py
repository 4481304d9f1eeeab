"""Prints the table of the measurements over RabbitMQ: medians, and medians of the rounds' ratios. Rows by standard input.

rabbitmq-table.py RESULTS LEAST, where LEAST is how few messages have waited in the queue
"""

import json
import statistics
import sys
from collections import defaultdict

rates = defaultdict(list)
for line in open(sys.argv[1]):
    row, result = line.split("\t")
    rates[row].append(json.loads(result)["rate"])
print("| what | messages/s, median | least to most | of the plain C client |\n|---|---|---|---|")
for line in sys.stdin:
    row, name = line.rstrip("\n").split("|")
    ratio = statistics.median(one / other for one, other in zip(rates[row], rates["plain"]))
    print(f"| {name} | {statistics.median(rates[row]):,.0f} | {min(rates[row]):,} to {max(rates[row]):,} | {ratio:.2f} |")
least = int(sys.argv[2])
print(f"\nAt least {least:,} messages waited all the time." if least else "\nThe queue ran dry: these are the producer's figures.")
