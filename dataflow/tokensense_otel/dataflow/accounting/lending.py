"""Usage that only a span around calls reports: an agent's stream whose calls came without any.

A wrapper's usage counts where no call beneath it reported any. It is that of them all, so one of them gets it whole:
the sums are true, the share of each call is not known.
"""

from collections.abc import Iterable, Mapping

from tokensense_otel.core.call import Call
from tokensense_otel.dataflow.accounting.components import ancestors
from tokensense_otel.dataflow.accounting.sameness import models_agree, order
from tokensense_otel.dataflow.facts import SpanFacts


def lent_usage(
    wrappers: list[SpanFacts],
    spans: Mapping[bytes, SpanFacts],
    counted: Iterable[Call],
    told: Mapping[bytes, list[Call]],
) -> dict[bytes, Call]:
    """Call that counts → the wrapper whose usage it gets, the innermost first; a wrapper lends to one call at most.

    `told` are further reports of calls that count. The last call beneath that did not fail gets the usage, if all that
    did not may be of one model, since tokens of several models have no one price.
    """
    if not wrappers:
        return {}
    lenders = {facts.span_id: facts.call for facts in wrappers if facts.call is not None and facts.call.tokens.known}
    beneath: dict[bytes, list[Call]] = {}
    depths: dict[bytes, int] = {}
    for call in counted if lenders else ():
        around = [above.span_id for above in ancestors(spans, call.span_id) if above.span_id in lenders]
        for depth, lender in enumerate(reversed(around)):
            beneath.setdefault(lender, []).append(call)
            depths[lender] = depth
    lent: dict[bytes, Call] = {}
    for lender in sorted(beneath, key=lambda one: (-depths[one], one)):
        calls = beneath[lender]
        if any(_reported(call, told) or call.span_id in lent for call in calls):
            continue
        silent = sorted((call for call in calls if not call.failed), key=order)
        usage = lenders[lender]
        if silent and all(models_agree(silent[-1], other) for other in (*silent, usage)):
            lent[silent[-1].span_id] = usage
    return lent


def _reported(call: Call, told: Mapping[bytes, list[Call]]) -> bool:
    return call.tokens.known or any(other.tokens.known for other in told.get(call.span_id, ()))
