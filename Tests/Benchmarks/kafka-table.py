"""Prints the table of the measurements over Kafka: medians, and medians of the rounds' ratios."""

import json
import statistics
import sys
from collections import defaultdict

# By name: what each round gave, and the name of what it is compared with.
results, others = defaultdict(dict), {}
for line in open(sys.argv[1]):
    turn, name, other, result = line.rstrip("\n").split("\t")
    results[name][turn] = json.loads(result)["rate"]
    others[name] = other

print("| what | messages/s | least to most | compared with | ratio |\n|---|---|---|---|---|")
for name, rates in results.items():
    other = others[name]
    ratios = [rate / results[other][turn] for turn, rate in rates.items() if other in results]
    ratio = f"{statistics.median(ratios):.2f}" if ratios else ""
    values = rates.values()
    print(
        f"| {name} | {statistics.median(values):,.0f} | {min(values):,} to {max(values):,} | {other} | {ratio} |"
    )
