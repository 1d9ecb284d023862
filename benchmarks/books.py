"""From the bytes of requests to the sums that are written to the store, in one thread and without I/O.

Every part does what it does in `tokensense up`, in the shards of a fresh install. Time is that of the processor, since
the machine may have other work. Beside it, on the same bytes: protobuf's own parse, below which nothing that reads
OTLP with it can be, and that with every attribute put into a dict.
"""

import gc
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from benchmarks.material import START_NS
from benchmarks.measure import Effort, report
from benchmarks.services import REQUEST_SPANS, service_requests
from tokensense_otel.dataflow.config import DataflowConfig
from tokensense_otel.dataflow.decode import Decoder
from tokensense_otel.dataflow.deltas import Deltas
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules import RulesConfig, RuleSet
from tokensense_otel.dataflow.stages import STORE_KEY, AccountingStage, Evidence, Keyed, Stages
from tokensense_otel.receiver.log.entry import Entry, Signal

_SECOND = 1_000_000_000
Make = Callable[[bytes | None], AccountingStage[Any]]


def books(effort: Effort) -> None:
    """Decode → account → price → aggregate, of requests without and with 2 KB of content on each call."""
    spans = effort.size * 4
    for name, content in (("no content", 0), ("2 KB of content a call", 2_048)):
        bodies = service_requests(spans, content=content)
        count = len(bodies) * REQUEST_SPANS
        mean = sum(map(len, bodies)) / count
        report(f"books, {name}", "", f"{count:,} spans, {mean:,.0f} bytes each")
        parts = _median([_floor(bodies) for _ in range(effort.runs)])
        parts |= _median([_run(bodies) for _ in range(effort.runs)])
        for part, taken in parts.items():
            report(f"  {part}", f"{taken / count * 1e6:.2f} µs/span")


def _median(runs: list[dict[str, float]]) -> dict[str, float]:
    return {part: statistics.median(run[part] for run in runs) for part in runs[0]}


def _floor(bodies: Iterable[bytes]) -> dict[str, float]:
    gc.collect()
    began = time.process_time()
    for body in bodies:
        ExportTraceServiceRequest.FromString(body)
    parsed = time.process_time()
    for body in bodies:
        _walk(ExportTraceServiceRequest.FromString(body))
    return {"(protobuf's parse alone)": parsed - began, "(parse, attributes to dicts)": time.process_time() - parsed}


def _walk(request: ExportTraceServiceRequest) -> list[dict[str, Any]]:
    return [
        {pair.key: _plain(pair.value) for pair in span.attributes}
        for group in request.resource_spans
        for scoped in group.scope_spans
        for span in scoped.spans
    ]


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    return None if kind is None else getattr(value, kind)


def _run(bodies: Iterable[bytes]) -> dict[str, float]:
    """Processor seconds by part."""
    road = Road()
    gc.collect()
    began = time.process_time()
    for number, body in enumerate(bodies):
        road.take(Entry(Signal.TRACES, "default", "", START_NS + number * _SECOND // 10, body))
    total = time.process_time() - began
    assert sum(cell.calls for cell in road.store.usage.values()) > 0
    return {**road.spent, "total": total}


class Road:
    """The stages in the order of the dataflow, without Bytewax, and a clock between them."""

    def __init__(self) -> None:
        catalogue = _CATALOGUE
        self.stages = Stages(DataflowConfig(), RuleSet(RulesConfig()), catalogue)
        self._decoder = Decoder(Normaliser(NormaliseConfig(), b"salt"), _refuse)
        self.shards: dict[str, AccountingStage[Any]] = {}
        self.store = Deltas()
        self.spent: dict[str, float] = defaultdict(float)

    def take(self, entry: Entry) -> None:
        stages = self.stages
        began = time.process_time()
        decoded = self._decoder.decode([entry])
        self._lap("decode: bytes to facts", began)
        began = time.process_time()
        routed = stages.after_decode(decoded)
        self._stage(routed, "m", stages.metered)
        settled = self._stage(routed, "t", stages.ledger)
        self._lap("account and price: facts to postings", began)
        began = time.process_time()
        ledgered = stages.after_ledger(settled)
        paired = stages.after_twins(self._stage(ledgered, "w", stages.twins))
        identified = stages.after_identity(self._stage(ledgered + paired, "i", stages.identity))
        self._lap("calls told of in two traces, and sums", began)
        began = time.process_time()
        for key, item in (*routed, *ledgered, *paired, *identified):
            if key == STORE_KEY and isinstance(item, Deltas):
                self.store.merge(item)
        self.store.seen.clear()
        self._lap("sums for the store, put together", began)

    def _stage(self, routed: list[Keyed], letter: str, make: Make) -> list[Any]:
        out: list[Any] = []
        for key, item in routed:
            if key[0] == letter and not isinstance(item, Deltas | Evidence):
                shard = self.shards.get(key)
                if shard is None:
                    shard = self.shards[key] = make(None)
                out += shard.ingest(item)
        return out

    def _lap(self, part: str, began: float) -> None:
        self.spent[part] += time.process_time() - began


def _refuse(entry: Entry) -> None:
    raise AssertionError(f"an entry of {len(entry.body)} bytes was refused")


_CATALOGUE = Catalogue.load()
