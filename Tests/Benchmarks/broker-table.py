"""Prints the table of the broker's measurements: medians, and medians of the rounds' ratios. Rows by standard input."""

import json
import statistics
import sys
from collections import defaultdict

rows = [line.rstrip("\n").split("|") for line in sys.stdin]
floor = next(index for index, row in enumerate(rows) if row[0] == "floor")
# By batch and row: what each round gave.
results = defaultdict(dict)
for line in open(sys.argv[1]):
    turn, batch, row, result = line.split("\t")
    results[int(batch), int(row)][turn] = json.loads(result)


def median(values):
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def number(value, form=",.0f"):
    return "" if value is None else format(value, form)


def ratio(batch, row, other):
    if other is None:
        return None
    runs = results[batch, row].items()
    return median(run["sent"] / results[batch, other][turn]["sent"] for turn, run in runs)


def one_node(row):
    """The row that does the same with one node."""
    system, options, _ = rows[row]
    if "--nodes" not in options:
        return None
    wanted = options.replace("--nodes 3", "").replace("--acks leader", "").strip()
    return next(index for index, row in enumerate(rows) if row[:2] == [system, wanted])


def cells(batch, row):
    runs = results[batch, row]
    rates = [run["sent"] for run in runs.values()]
    flushes = [run["flushes"] and run["flushes"] / run["batches"] for run in runs.values()]
    return [
        number(median(rates)), f"{min(rates):,} to {max(rates):,}", number(ratio(batch, row, floor), ".2f"),
        number(ratio(batch, row, one_node(row)), ".2f"), number(median(flushes), ".2f"),
        number(median(run["taken"] for run in runs.values())),
    ]


flush = median(run["flushMicroseconds"] for runs in results.values() for run in runs.values())
print(f"A flush took {flush:.0f} µs.")
for batch in sorted({batch for batch, _ in results}):
    print(f"\nBatches of {batch}:\n")
    print("| what | sent/s | least to most | of the floor | of one node | flushes a batch | taken/s |\n|---|---|---|---|---|---|---|")
    for row, (_, _, name) in enumerate(rows):
        if results[batch, row]:
            print(f"| {name} | {' | '.join(cells(batch, row))} |")
