"""Settling a trace: which of its spans are calls, which tell of the same call again, and whose calls they are.

`settle` is a pure function of the set of spans. Neither the order in which they came nor the batches they came in
matter, so the ledger can settle again whenever another span arrives and post the difference. Others decide likewise
for single cases (microsoft/Application-Insights-Workbooks#3208, langfuse/langfuse#14808).
"""

from collections.abc import Iterable, Mapping

import msgspec

from tokensense_otel.core.call import DEFAULT_PROJECT, Call
from tokensense_otel.dataflow.accounting.components import adrift
from tokensense_otel.dataflow.accounting.lending import lent_usage
from tokensense_otel.dataflow.accounting.merge import complete, over, with_model
from tokensense_otel.dataflow.accounting.plain import settle_plainly
from tokensense_otel.dataflow.accounting.records import lone_events, tells_of_call
from tokensense_otel.dataflow.accounting.sameness import (
    best_of,
    clusters,
    during,
    same_family,
    same_response,
    same_twin,
    size,
    witness,
)
from tokensense_otel.dataflow.accounting.tree import Tree
from tokensense_otel.dataflow.accounting.verdicts import PLAIN, Reason, Verdicts
from tokensense_otel.dataflow.facts import Kind, SpanFacts


def settle(
    spans: Mapping[bytes, SpanFacts], *, had_calls: bool = False, verdicts: Verdicts | None = None
) -> dict[bytes, Call]:
    """The calls among the spans of one trace, by the span id of the best witness; every other span is none.

    `had_calls` says that spans of this trace which are no longer here were calls, so that no wrapper's usage may stand
    in for them. `verdicts` is told the reason for every span.
    """
    plain = settle_plainly(spans) if verdicts is None else None
    if plain is not None:
        return plain
    return _Trial(spans, verdicts).verdict(had_calls)


class _Trial:
    """The working state of one settlement."""

    def __init__(self, spans: Mapping[bytes, SpanFacts], verdicts: Verdicts | None) -> None:
        self._spans = spans
        self._verdicts = verdicts
        self._calls: dict[bytes, Call] = {}
        self._tree = Tree(spans, self._calls)
        self._told: dict[bytes, list[Call]] = {}
        """Call that counts → further reports of it, nearest first."""
        self._heir: dict[bytes, bytes] = {}
        """Call that does not count → the one that counts instead, if any."""

    def verdict(self, had_calls: bool) -> dict[bytes, Call]:
        kinds: dict[Kind, list[SpanFacts]] = {kind: [] for kind in _KINDS}
        for facts in self._spans.values():
            kinds[facts.kind].append(facts)
        self._calls.update({facts.span_id: facts.call for facts in kinds[Kind.CALL] if facts.call is not None})
        if kinds[Kind.EVENT]:
            self._admit_events(kinds[Kind.EVENT])
        self._tree.add(self._calls)
        if kinds[Kind.CANDIDATE]:
            self._admit_candidates(kinds[Kind.CANDIDATE])
        counted = self._innermost()
        if kinds[Kind.WRAPPER] and not had_calls:
            counted |= self._stand_ins(kinds[Kind.WRAPPER])
        elif kinds[Kind.WRAPPER]:
            self._say_all(kinds[Kind.WRAPPER], Reason.WRAPPER_AFTER_CALLS)
        winners = self._join(counted)
        for facts in sorted(kinds[Kind.DETAIL] + kinds[Kind.EVENT], key=lambda one: one.span_id):
            if facts.span_id not in self._calls:
                self._add_detail(facts)
        self._lend(kinds[Kind.WRAPPER] if not had_calls else [], winners)
        self._say_rest(kinds, winners)
        return {winner: self._finish(winner) for winner in winners}

    # Why

    def _say(self, span_id: bytes, reason: Reason, *others: bytes) -> None:
        if self._verdicts is not None:
            self._verdicts.say(span_id, reason, *others)

    def _say_all(self, spans: Iterable[SpanFacts], reason: Reason) -> None:
        if self._verdicts is not None:
            for facts in spans:
                self._verdicts.say(facts.span_id, reason if facts.call is not None else Reason.WRAPPER)

    def _say_rest(self, kinds: Mapping[Kind, list[SpanFacts]], winners: list[bytes]) -> None:
        """What needed no decision, and which reports went into a call."""
        if self._verdicts is None:
            return
        said = self._verdicts.spans
        for kind, reason in PLAIN.items():
            for facts in kinds[kind]:
                if facts.span_id not in said:
                    self._verdicts.say(facts.span_id, reason)
        for span_id in winners:
            if span_id not in said:
                self._verdicts.say(span_id, Reason.CALL)
            self._verdicts.told[span_id] = tuple(call.span_id for call in self._told.get(span_id, ()))

    # Which calls count

    def _admit_candidates(self, candidates: list[SpanFacts]) -> None:
        """Usage without an operation is a call only where it names a model and no call is above or beneath it."""
        admitted: dict[bytes, Call] = {}
        named = {
            facts.span_id: call
            for facts in candidates
            if (call := with_model(facts, self._tree.ancestors(facts.span_id))) is not None
        }
        lone = [
            span_id for span_id in named if span_id not in self._tree.over_calls and not self._tree.call_above(span_id)
        ]
        around = {above.span_id for span_id in lone for above in self._tree.ancestors(span_id)}
        for span_id in lone:
            if span_id not in around:
                admitted[span_id] = named[span_id]
                self._say(span_id, Reason.LONE_USAGE)
        if self._verdicts is not None:
            self._say_candidates([facts for facts in candidates if facts.span_id not in admitted], named)
        self._calls.update(admitted)
        self._tree.add(admitted)

    def _say_candidates(self, refused: list[SpanFacts], named: Mapping[bytes, Call]) -> None:
        for facts in refused:
            above = self._tree.call_above(facts.span_id)
            if facts.span_id not in named:
                self._say(facts.span_id, Reason.USAGE_WITHOUT_MODEL)
            elif above:
                self._say(facts.span_id, Reason.USAGE_WITHIN_CALL, above)
            elif facts.span_id in self._tree.over_calls:
                self._say(facts.span_id, Reason.USAGE_OVER_CALLS)
            else:
                self._say(facts.span_id, Reason.USAGE_OVER_USAGE)

    def _admit_events(self, events: list[SpanFacts]) -> None:
        for best, *others in lone_events(events, self._spans):
            self._calls[best.span_id] = best
            self._say(best.span_id, Reason.EVENT_ALONE)
            for other in others:
                self._heir[other.span_id] = best.span_id
                self._told.setdefault(best.span_id, []).append(other)
                self._say(other.span_id, Reason.EVENT, best.span_id)

    def _innermost(self) -> set[bytes]:
        """Of calls within calls the inner ones count, and the outer ones tell more about them."""
        inner: dict[bytes, list[bytes]] = {}
        for span_id, call in self._calls.items():
            above = self._tree.call_above(span_id)
            seen = {span_id}
            while above and above not in seen and not same_family(self._calls[above], call):
                seen.add(above)
                above = self._tree.call_above(above)
            if above and above not in seen:
                inner.setdefault(above, []).append(span_id)
        counted = set(self._calls)
        for span_id in sorted(inner, key=self._tree.depth, reverse=True):
            leaves = sorted({leaf for one in inner[span_id] for leaf in self._leaves(one, inner, counted)} - {span_id})
            if not leaves:
                continue
            call = self._calls[span_id]
            good = [leaf for leaf in leaves if not self._calls[leaf].failed]
            if not good and not call.failed and call.tokens.known:
                # All that is reported beneath failed; what succeeded in the end was reported by the outer span only.
                self._say(span_id, Reason.ATTEMPTS_FAILED, *leaves)
                continue
            counted.discard(span_id)
            self._say(span_id, Reason.CALLS_WITHIN, *leaves)
            heirs = [leaf for leaf in leaves if call.response_id and self._calls[leaf].response_id == call.response_id]
            heirs = heirs or good or leaves
            if len(heirs) == 1:
                self._heir[span_id] = heirs[0]
                self._told.setdefault(heirs[0], []).append(call)
        return counted

    def _leaves(self, span_id: bytes, inner: Mapping[bytes, list[bytes]], counted: set[bytes]) -> list[bytes]:
        """The calls that count, of a call and those within it."""
        found: list[bytes] = []
        todo = [span_id]
        seen: set[bytes] = set()
        while todo:
            current = todo.pop()
            if current in seen:
                continue
            seen.add(current)
            if current in counted:
                found.append(current)
            todo += inner.get(current, ())
        return found

    def _stand_ins(self, wrappers: list[SpanFacts]) -> set[bytes]:
        """A wrapper's usage counts where no call beneath it was reported; of nested wrappers the innermost counts."""
        lone = {
            facts.span_id: facts.call
            for facts in wrappers
            if facts.call is not None
            and facts.call.tokens.known
            and facts.span_id not in self._tree.over_calls
            and not self._tree.call_above(facts.span_id)
        }
        if lone:
            loose = [call for span_id, call in self._calls.items() if adrift(self._spans, span_id)]
            lone = {span_id: call for span_id, call in lone.items() if not any(during(one, call) for one in loose)}
        around = {above.span_id for span_id in lone for above in self._tree.ancestors(span_id)}
        chosen = {span_id: call for span_id, call in lone.items() if span_id not in around}
        for span_id, call in chosen.items():
            note = "no call was reported beneath this span; its own usage stands in"
            self._calls[span_id] = msgspec.structs.replace(call, notes=(*call.notes, note))
            self._say(span_id, Reason.STAND_IN)
        if self._verdicts is not None:
            for facts in wrappers:
                if facts.call is not None and facts.span_id not in chosen:
                    above = self._tree.call_above(facts.span_id)
                    if above:
                        self._say(facts.span_id, Reason.WRAPPER_WITHIN_CALL, above)
                    elif facts.span_id in lone:
                        self._say(facts.span_id, Reason.WRAPPER_OVER_WRAPPER)
                    else:
                        self._say(facts.span_id, Reason.WRAPPER_OVER_CALLS)
        return set(chosen)

    def _join(self, counted: set[bytes]) -> list[bytes]:
        """Further reports beside each other: by response id, then by parent and equal usage. Returns the winners."""
        groups: list[list[Call]] = []
        by_response: dict[str, list[Call]] = {}
        for span_id in counted:
            call = self._calls[span_id]
            if call.response_id:
                by_response.setdefault(call.response_id, []).append(call)
            else:
                groups.append([call])
        for calls in by_response.values():
            groups += [calls] if len(calls) == 1 else clusters(calls, same_response)
        if len(groups) > 1:
            groups = self._siblings(groups)
        winners: list[bytes] = []
        for group in groups:
            if len(group) == 1:
                winners.append(group[0].span_id)
                continue
            best, *others = sorted(group, key=witness)
            winners.append(best.span_id)
            for other in others:
                self._heir[other.span_id] = best.span_id
                same_id = other.response_id and other.response_id == best.response_id
                self._say(other.span_id, Reason.SAME_RESPONSE if same_id else Reason.SAME_USAGE, best.span_id)
                told = self._told.setdefault(best.span_id, [])
                told += [other, *self._told.pop(other.span_id, ())]
        return sorted(winners)

    def _siblings(self, groups: list[list[Call]]) -> list[list[Call]]:
        """Two instrumentations around one request, not both of which tell its response id."""
        alike: dict[tuple[int | None, int | None], list[list[Call]]] = {}
        for group in groups:
            alike.setdefault(size(best_of(group)), []).append(group)
        joined: list[list[Call]] = []
        for near in alike.values():
            if len(near) == 1:
                joined += near
                continue
            by_best = {best_of(group).span_id: group for group in near}
            for cluster in clusters([self._calls[span_id] for span_id in by_best], self._same_twin):
                joined.append([call for best in cluster for call in by_best[best.span_id]])
        return joined

    def _same_twin(self, one: Call, two: Call) -> bool:
        return self._beside(one, two) and same_twin(one, two)

    def _beside(self, one: Call, two: Call) -> bool:
        """Whether both were made in one span, may have been since spans are missing, or are streams as of Logfire."""
        parent, other = self._spans[one.span_id].parent_id, self._spans[two.span_id].parent_id
        if parent == other:
            return True
        if all(not above or adrift(self._spans, call.span_id) for above, call in ((parent, one), (other, two))):
            return True
        if not (one.streaming and two.streaming):
            return False
        return self._over_wrapper(parent) == other or parent == self._over_wrapper(other)

    def _over_wrapper(self, span_id: bytes) -> bytes | None:
        facts = self._spans.get(span_id)
        return facts.parent_id if facts is not None and facts.kind is Kind.WRAPPER else None

    # What is known of a call

    def _add_detail(self, facts: SpanFacts) -> None:
        if facts.span_id in self._heir:
            return
        is_event = facts.kind is Kind.EVENT
        tells = not is_event or tells_of_call(facts, self._spans)
        above = self._tree.call_above(facts.span_id) if tells else b""
        seen: set[bytes] = set()
        while above in self._heir and above not in seen:
            seen.add(above)
            above = self._heir[above]
        if above and facts.call is not None:
            self._told.setdefault(above, []).append(facts.call)
            self._say(facts.span_id, Reason.EVENT if is_event else Reason.DETAIL, above)
        else:
            self._say(facts.span_id, Reason.EVENT_OF_NOTHING if is_event else Reason.DETAIL_OF_NOTHING)

    def _lend(self, wrappers: list[SpanFacts], winners: list[bytes]) -> None:
        counted = map(self._calls.__getitem__, winners)
        for span_id, usage in lent_usage(wrappers, self._spans, counted, self._told).items():
            self._told.setdefault(span_id, []).append(usage)
            self._say(usage.span_id, Reason.USAGE_LENT, span_id)

    def _finish(self, span_id: bytes) -> Call:
        """The call with everything that other reports, ancestors and resources say of it."""
        facts = self._spans[span_id]
        call = self._calls[span_id]
        where = over(self._tree.inherited(span_id), facts.resource)
        project = self._tree.project(facts)
        for other in self._told.get(span_id, ()):
            call = complete(call, other, tokens=True)
            told = self._spans[other.span_id]
            where = over(where, over(self._tree.inherited(other.span_id), told.resource))
            project = project or self._tree.project(told)
        return msgspec.structs.replace(call, dimensions=where, project=project or DEFAULT_PROJECT)


_KINDS = tuple(Kind)
