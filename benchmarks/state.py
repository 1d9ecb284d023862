"""How large the state of accounting is: in memory, and in the snapshot that every epoch writes."""

import gc
import os
import time
from pathlib import Path

from benchmarks.books import Road
from benchmarks.material import START_NS
from benchmarks.measure import Effort, report
from benchmarks.services import REQUEST_SPANS, service_requests
from tokensense_otel.receiver.log.entry import Entry, Signal

_STAGES = {"t": "open traces", "w": "twins", "i": "identities"}
_RATE = 5_000
_EPOCH_S = 5
_OPEN_S = 120


def state(effort: Effort) -> None:
    """Memory and snapshots of traces that are all open, and what that is at 5,000 spans/s."""
    requests = max(1, effort.size * 8 // REQUEST_SPANS)
    bodies = service_requests(requests * REQUEST_SPANS)
    spans = len(bodies) * REQUEST_SPANS
    road = Road()
    road.take(Entry(Signal.TRACES, "default", "", START_NS, service_requests(REQUEST_SPANS)[0]))
    empty = _resident()
    for body in bodies:
        road.take(Entry(Signal.TRACES, "default", "", START_NS, body))
    road.store.usage.clear()
    working = (_resident() - empty) / spans
    first = _snapshots(road)
    _snapshots(road)
    began = time.process_time()
    quiet = _snapshots(road)
    taken = (time.process_time() - began) / spans
    resting = (_resident() - empty) / spans
    report("state, memory of an open span", f"{working:,.0f} bytes", f"{resting:,.0f} once it is quiet")
    written = sum(quiet.values()) / spans
    for letter, what in _STAGES.items():
        report(
            f"  snapshot, {what}", f"{quiet[letter] / spans:,.0f} bytes/span", f"{first[letter] / spans:,.0f} at first"
        )
    report("  snapshot of what is quiet", f"{taken * 1e6:.2f} \u00b5s/span", "of processor time")
    held = _RATE * _OPEN_S
    report(
        f"  at {_RATE:,} spans/s, each open for {_OPEN_S} s",
        f"{held * resting / 1e6:,.0f} MB",
        f"memory; {held * written / _EPOCH_S / 1e6:,.0f} MB/s of snapshots",
    )


def _snapshots(road: Road) -> dict[str, int]:
    """Bytes by stage."""
    sizes = dict.fromkeys(_STAGES, 0)
    for key, shard in road.shards.items():
        if key[0] in sizes:
            sizes[key[0]] += len(shard.snapshot())
    return sizes


def _resident() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
