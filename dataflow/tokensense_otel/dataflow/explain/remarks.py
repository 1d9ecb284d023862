"""Where the books may say something else than an explanation, because the dataflow knew less when it decided."""

from collections.abc import Collection
from itertools import pairwise

from tokensense_otel.dataflow.accounting import AccountingConfig
from tokensense_otel.dataflow.explain.recount import MOST_TRACES, Recount, SpanKey


def remarks_on(done: Recount, focus: Collection[SpanKey], config: AccountingConfig) -> list[str]:
    """Remarks on what is shown, each in a sentence."""
    remarks: list[str] = []
    for trace in sorted({key[0] for key in focus}):
        told = done.traces[trace]
        orphans = sum(1 for facts in told.spans.values() if facts.parent_id and facts.parent_id not in told.spans)
        if orphans:
            remarks.append(f"trace {trace.trace_id.hex()}: {orphans} spans have a parent that was not received")
        times = sorted(received for received in told.received.values() if received)
        gap_s = max((later - earlier for earlier, later in pairwise(times)), default=0) / 1e9
        if gap_s >= config.trace_idle_s:
            remarks.append(
                f"trace {trace.trace_id.hex()}: {gap_s:.0f} s passed between two of its spans; after "
                f"{config.trace_idle_s:g} s (dataflow.accounting.trace_idle_s) later ones are accounted on their own"
            )
    for best, others in done.joined.items():
        for other in others:
            apart_s = abs(_received(done, best) - _received(done, other)) / 1e9
            if best in focus and apart_s >= config.identity_window_s:
                remarks.append(
                    f"two reports of one call came {apart_s:.0f} s apart; after {config.identity_window_s:g} s "
                    "(dataflow.accounting.identity_window_s) the first is forgotten and both count"
                )
    if not done.complete:
        remarks.append(f"more than {MOST_TRACES} traces share an id or usage with these; the others were not looked at")
    return remarks


def _received(done: Recount, key: SpanKey) -> int:
    return done.traces[key[0]].received[key[1]]
