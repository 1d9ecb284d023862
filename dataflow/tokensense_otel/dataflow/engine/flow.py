"""The Bytewax wiring, and nothing else.

    log ─ normalise ┬ t ─ ledger ─ route ┬ i ─ identity ─ book ┬─────────────── s ┐
                    ├ r ─────────────────┼ r ──────────────────┴ r ─ rules ─ find ┼─ store
                    └ s ─────────────────┴ s ─────────────────────────────────────┘

Step names are part of what is on disk: a renamed step starts from nothing.
"""

from collections.abc import Callable
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream
from bytewax.inputs import Source
from bytewax.operators import KeyedStream
from bytewax.outputs import Sink

from tokensense_otel.core.insight import Insight
from tokensense_otel.dataflow.clock import LogClock
from tokensense_otel.dataflow.decode import Decoder
from tokensense_otel.dataflow.engine.stage import builder
from tokensense_otel.dataflow.stages import STORE_KEY, Keyed, Stages
from tokensense_otel.receiver.log.entry import Entry

FLOW_ID = "tokensense"


def build_flow(
    source: Source[Entry], sink: Sink[Any], *, decoder: Decoder, stages: Stages, clock: LogClock
) -> Dataflow:
    """The dataflow from `source` (log entries) to `sink` (keyed `Deltas` and insights)."""

    def normalise(entries: list[Entry]) -> list[Keyed]:
        return stages.route_decoded(decoder.decode(entries))

    flow = Dataflow(FLOW_ID)
    entries = op.input("log", flow, source)
    decoded = op.flat_map_batch("normalise", entries, normalise)
    ledger = op.stateful_batch("ledger", _only("t", decoded), builder(stages.ledger, clock))
    routed = op.flat_map_batch("route", ledger, _values(stages.route_ledger))
    identity = op.stateful_batch("identity", _only("i", routed), builder(stages.identity, clock))
    booked = op.flat_map_batch("book", identity, _values(stages.route_identity))
    evidence = op.merge("evidence", _only("r", decoded, "d"), _only("r", routed, "r"), _only("r", booked, "b"))
    rules = op.stateful_batch("rules", evidence, builder(stages.rules, clock))
    found = op.flat_map_batch("find", rules, _for_store)
    kept = op.merge("kept", _only("s", decoded, "d"), _only("s", routed, "r"), _only("s", booked, "b"), found)
    op.output("store", kept, sink)
    return flow


def _only(letter: str, stream: Stream[Keyed], of: str = "") -> KeyedStream[Any]:
    """The items of a stream that are for one stage."""

    def wanted(items: list[Keyed]) -> list[Keyed]:
        return [item for item in items if item[0][0] == letter]

    return op.flat_map_batch(f"only_{letter}{of}", stream, wanted)


def _values(route: Callable[[list[Any]], list[Keyed]]) -> Callable[[list[tuple[str, Any]]], list[Keyed]]:
    return lambda items: route([value for _, value in items])


def _for_store(items: list[tuple[str, Insight]]) -> list[tuple[str, Insight]]:
    return [(STORE_KEY, insight) for _, insight in items]
