"""How large the state of accounting is: in memory, and in the snapshot that every epoch writes."""

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.books import Road
from benchmarks.material import START_NS
from benchmarks.measure import Effort, report, resident
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
    empty = resident()
    for body in bodies:
        road.take(Entry(Signal.TRACES, "default", "", START_NS, body))
    road.store.usage.clear()
    working = (resident() - empty) / spans
    packing, snapshots = _snapshots(road)
    writing, snapshots = _snapshots(road)
    sizes = {letter: sum(len(each) for key, each in snapshots.items() if key[0] == letter) for letter in _STAGES}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        resting = other.submit(_restored, snapshots).result() / spans
    began = time.process_time()
    for shard in road.shards.values():
        shard.advance(START_NS + 2 * _OPEN_S * 1_000_000_000)
    closing = time.process_time() - began
    written = sum(sizes.values()) / spans
    report("state, memory of an open span", f"{working:,.0f} bytes", f"{resting:,.0f} once its trace is quiet")
    for letter, what in _STAGES.items():
        report(f"  snapshot, {what}", f"{sizes[letter] / spans:,.0f} bytes/span")
    for what, taken in (("first", packing), ("every further", writing)):
        report(f"  its {what} snapshot", f"{taken / spans * 1e6:.2f} \u00b5s/span", "of processor time")
    report("  closing its trace", f"{closing / spans * 1e6:.2f} \u00b5s/span")
    fresh = _RATE * 2 * _EPOCH_S
    memory = fresh * working + (_RATE * _OPEN_S - fresh) * resting
    report(
        f"  at {_RATE:,} spans/s, each open for {_OPEN_S} s",
        f"{memory / 1e6:,.0f} MB",
        f"memory; {_RATE * _OPEN_S * written / _EPOCH_S / 1e6:,.0f} MB/s of snapshots",
    )


def _snapshots(road: Road) -> tuple[float, dict[str, bytes]]:
    """Seconds of processor time, and the snapshot of each shard."""
    began = time.process_time()
    snapshots = {key: shard.snapshot() for key, shard in road.shards.items() if key[0] in _STAGES}
    return time.process_time() - began, snapshots


def _restored(snapshots: dict[str, bytes]) -> int:
    """The memory that a fresh process takes for what these snapshots hold."""
    stages = Road().stages
    make = {"t": stages.ledger, "w": stages.twins, "i": stages.identity}
    before = resident()
    shards = [make[key[0]](snapshot) for key, snapshot in snapshots.items()]
    return resident() - before if shards else 0
