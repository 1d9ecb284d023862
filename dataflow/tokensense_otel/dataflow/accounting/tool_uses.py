"""Whose the tools are that a trace used: evidence for the rules, which are told again when a span names it late.

As with calls: what was told before is taken back and told anew, so that at each moment the rules have what the spans
say that came so far, in whatever order they did.
"""

from collections.abc import Iterable, Mapping

import msgspec

from tokensense_otel.core.call import DEFAULT_PROJECT
from tokensense_otel.dataflow.accounting.components import ancestors
from tokensense_otel.dataflow.accounting.merge import over
from tokensense_otel.dataflow.facts import SpanFacts, ToolUse


class ToolUses:
    """Of one trace, whose spans so far are `spans`."""

    def __init__(self, spans: Mapping[bytes, SpanFacts]) -> None:
        self._spans = spans
        self._told: dict[bytes, tuple[ToolUse, ...]] = {}
        self._awaited: dict[bytes, list[bytes]] = {}
        """Span that did not come → the spans beneath it that have tools."""

    def tell(self, changed: Iterable[bytes]) -> list[ToolUse]:
        """What is to be told after these spans came, each for the first time or with another report."""
        told: list[ToolUse] = []
        affected: dict[bytes, None] = {}
        for span_id in changed:
            if self._spans[span_id].tools:
                affected[span_id] = None
            affected |= dict.fromkeys(self._awaited.pop(span_id, ()))
        for span_id in affected:
            before, now = self._told.get(span_id, ()), self._uses(span_id)
            if before != now:
                told += [msgspec.structs.replace(use, sign=-1) for use in before]
                told += now
                self._told[span_id] = now
        return told

    def tell_all(self) -> list[ToolUse]:
        """As `tell`, of all spans."""
        return self.tell(self._spans)

    def _uses(self, span_id: bytes) -> tuple[ToolUse, ...]:
        facts = self._spans[span_id]
        where, project, top = facts.own, facts.project, facts
        for above in ancestors(self._spans, span_id):
            where, project, top = over(where, above.own), project or above.project, above
        if top.parent_id and top.parent_id not in self._spans:
            self._awaited.setdefault(top.parent_id, []).append(span_id)
        where = over(where, facts.resource)
        scope = (facts.origin.scope if facts.origin else "") + _witness(facts)
        return tuple(
            ToolUse(
                tenant=facts.tenant,
                project=project or facts.resource_project or DEFAULT_PROJECT,
                team=where.team,
                session=where.session,
                trace_id=facts.trace_id,
                scope=scope,
                name=tool.name,
                args_hash=tool.args_hash,
                time_ns=tool.time_ns,
            )
            for tool in facts.tools
        )


def _witness(facts: SpanFacts) -> str:
    """What sets apart the witnesses of one instrumentation: the execution, the answer, and a record of the answer."""
    if facts.call is None:
        return ""
    return " (asked for, as a log record tells)" if facts.is_record else " (asked for)"
