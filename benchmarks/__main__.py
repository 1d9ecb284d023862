"""`python -m benchmarks [--quick] [NAME…]`: all, or those named."""

import argparse
import logging
import os
import platform

from benchmarks import books, burst, captures, parts, peers, road, rules, soak, state
from benchmarks.incidents import command
from benchmarks.measure import FULL, QUICK
from tokensense_otel.core.events import configure_logging

BENCHMARKS = {
    "captures": captures.captures,
    "books": books.books,
    "state": state.state,
    "normalise": parts.normalise,
    "ledger": parts.ledger,
    "prices": parts.prices,
    "rules": rules.rules,
    "log": parts.log,
    "throughput": road.throughput,
    "alert_latency": road.alert_latency,
    "peers": peers.peers,
    "incidents": command.incidents,
    "burst": burst.burst,
    "keys": rules.keys,
    "soak": soak.soak,
}
LONG = {"incidents", "keys", "soak"}
"""Only where named, or small."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Prints medians.")
    parser.add_argument("--quick", action="store_true", help="small inputs: whether it runs, not how fast")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    asked = parser.parse_args()
    unknown = set(asked.names) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    effort = QUICK if asked.quick else FULL
    configure_logging(json_lines=False, level=logging.ERROR)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores; medians of {effort.runs}")
    for name in asked.names or [name for name in BENCHMARKS if asked.quick or name not in LONG]:
        BENCHMARKS[name](effort)


if __name__ == "__main__":
    main()
