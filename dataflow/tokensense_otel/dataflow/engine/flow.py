"""The Bytewax wiring, and nothing else.

    log ─ normalise ─┬ ledger ─ settle ─ twins ─ pair ─ identity ─ identify ─┬ rules, tenant_rules ─ find ─ store
                     └ metered ─ measure ────────────────────────────────────┘

Each stage's output is routed by the first letter of its keys: to the next stage, past it, to the rules or to the
store. Step names are part of what is on disk: a renamed step starts from nothing.
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
        return stages.after_decode(decoder.decode(entries))

    flow = Dataflow(FLOW_ID)
    entries = op.input("log", flow, source)
    decoded = op.flat_map_batch("normalise", entries, normalise)
    ledger = op.stateful_batch("ledger", _for("t", decoded), builder(stages.ledger, clock))
    settled = op.flat_map_batch("settle", ledger, _values(stages.after_ledger))
    metered = op.stateful_batch("metered", _for("m", decoded), builder(stages.metered, clock))
    measured = op.flat_map_batch("measure", metered, _values(stages.after_identity))
    twins = op.stateful_batch("twins", _for("w", settled), builder(stages.twins, clock))
    paired = op.flat_map_batch("pair", twins, _values(stages.after_twins))
    identity = op.stateful_batch("identity", _for("i", settled, paired), builder(stages.identity, clock))
    identified = op.flat_map_batch("identify", identity, _values(stages.after_identity))
    routed = (decoded, settled, measured, paired, identified)
    rules = op.stateful_batch("rules", _for("r", *routed), builder(stages.rules, clock))
    tenant_rules = op.stateful_batch("tenant_rules", _for("g", *routed), builder(stages.tenant_rules, clock))
    found = op.flat_map_batch("find", op.merge("rules_of_all", rules, tenant_rules), _for_store)
    op.output("store", op.merge("kept", _for("s", *routed), found), sink)
    return flow


def _for(letter: str, *streams: Stream[Keyed]) -> KeyedStream[Any]:
    """The items of some streams that are for one stage."""

    def wanted(items: list[Keyed]) -> list[Keyed]:
        return [item for item in items if item[0][0] == letter]

    merged = streams[0] if len(streams) == 1 else op.merge(f"merge_{letter}", *streams)
    return op.flat_map_batch(f"only_{letter}", merged, wanted)


def _values(route: Callable[[list[Any]], list[Keyed]]) -> Callable[[list[tuple[str, Any]]], list[Keyed]]:
    return lambda items: route([value for _, value in items])


def _for_store(items: list[tuple[str, Insight]]) -> list[tuple[str, Insight]]:
    return [(STORE_KEY, insight) for _, insight in items]
