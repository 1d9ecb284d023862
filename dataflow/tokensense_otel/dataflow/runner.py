"""Run recorded traffic through the same stages without Bytewax: bounded, in one process, deterministic.

A recording is complete, so everything is accounted first and the rules then see the final calls in the order of their
event time. The outcome depends on the set of spans only, not on the order or the batches in which files held them.
"""

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from tokensense_otel.core.call import Call, Posting
from tokensense_otel.core.insight import Insight
from tokensense_otel.core.tally import Tallies
from tokensense_otel.core.usage import Accounting, Usage, UsageKey
from tokensense_otel.dataflow.accounting import (
    Changes,
    Identities,
    Ledger,
    MeteredCalls,
    Twins,
    Witness,
    may_have_twin,
)
from tokensense_otel.dataflow.config import DataflowConfig
from tokensense_otel.dataflow.decode import Decoder, Quarantine
from tokensense_otel.dataflow.deltas import Deltas
from tokensense_otel.dataflow.facts import Covered, MemorySample, MeterPoint, ToolUse
from tokensense_otel.dataflow.judging import Judge
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules import RuleSet
from tokensense_otel.receiver.log.entry import Entry

# Recordings carry no time of reception; a clock that stands still never closes a trace.
_STANDSTILL = 0


class Outcome(msgspec.Struct):
    """What a recording came to."""

    usage: dict[UsageKey, Usage]
    accounting: dict[str, Accounting]
    insights: list[Insight]
    tallies: Tallies = msgspec.field(default_factory=Tallies)


class InProcessRunner:
    def __init__(
        self,
        config: DataflowConfig,
        *,
        rules: RuleSet,
        normalise: NormaliseConfig,
        salt: bytes,
        catalogue: Catalogue,
        quarantine: Quarantine,
    ) -> None:
        self._decoder = Decoder(Normaliser(normalise, salt), quarantine)
        self._catalogue = catalogue
        accounting = config.accounting.without_limits()
        self._ledger = Ledger(accounting, catalogue.cost)
        self._metered = MeteredCalls(accounting, catalogue.cost)
        self._witness = Witness()
        self._identities = Identities(accounting, catalogue.cost)
        self._twins = Twins(accounting, catalogue.cost)
        self._rules = rules
        self._deltas = Deltas()
        self._calls: dict[tuple[str, bytes, bytes], Call] = {}
        self._tools: Counter[ToolUse] = Counter()
        self._samples: list[MemorySample] = []

    def feed(self, entries: Iterable[Entry]) -> None:
        decoded = self._decoder.decode(entries)
        self._samples += decoded.samples
        self._deltas.account(decoded.rejected)
        self._deltas.tally(decoded.tallies)
        accounted = self._ledger.ingest(decoded.spans, _STANDSTILL)
        for use in accounted.tools:
            self._use(use)
        settled = self._accounted(accounted)
        pairable, postings = _split(settled, lambda posting: may_have_twin(posting.call))
        postings += self._accounted(self._twins.ingest(pairable, _STANDSTILL))
        named, postings = _split(postings, lambda posting: bool(posting.call.response_id))
        postings += self._accounted(self._identities.ingest(named, _STANDSTILL))
        metered: list[MeterPoint | Covered] = [*self._witness.of(decoded.spans), *decoded.points]
        postings += self._accounted(self._metered.ingest(metered, _STANDSTILL))
        self._book(postings)

    def _accounted(self, changes: Changes) -> list[Posting]:
        self._deltas.account(changes.accounting)
        return changes.postings

    def _use(self, use: ToolUse) -> None:
        """What is taken back was told before, in just those words."""
        if use.sign > 0:
            self._tools[use] += 1
        else:
            self._tools[msgspec.structs.replace(use, sign=1)] -= 1

    def _book(self, postings: list[Posting]) -> None:
        self._deltas.post(postings)
        for posting in postings:
            call = posting.call
            key = (call.tenant, call.trace_id, call.span_id)
            if posting.sign > 0:
                self._calls[key] = call
            elif self._calls.get(key) == call:
                del self._calls[key]

    def finish(self) -> Outcome:
        deltas = self._deltas.trimmed()
        return Outcome(deltas.usage, deltas.accounting, self.judge(self._rules), deltas.tallies)

    def judge(self, rules: RuleSet) -> list[Insight]:
        """What rules find in the recording: those in force, or others that are tried on it."""
        moments: list[tuple[int, bytes, bytes, Call | MemorySample | ToolUse]] = [
            (call.end_ns, call.trace_id, call.span_id, call) for call in self._calls.values()
        ]
        moments += [(sample.time_ns, b"", sample.entity.encode(), sample) for sample in self._samples]
        moments += [
            (use.time_ns, use.trace_id, f"{use.scope}\x1f{use.name}\x1f{use.args_hash}".encode(), use)
            for use in self._tools.elements()
        ]
        judge = Judge(rules, self._catalogue)
        insights: list[Insight] = []
        for now_ns, _, _, item in sorted(moments, key=lambda moment: moment[:3]):
            insights += judge.take(item, now_ns)
        return insights

    def calls(self) -> Iterable[Call]:
        """What is on the books, priced, in no particular order."""
        return self._calls.values()

    def span_ns(self) -> int:
        """From the first call of the recording to the last."""
        ends = [call.end_ns for call in self._calls.values()]
        return max(ends) - min(ends) if ends else 0


def _split(postings: list[Posting], wanted: Callable[[Posting], bool]) -> tuple[list[Posting], list[Posting]]:
    return [one for one in postings if wanted(one)], [one for one in postings if not wanted(one)]
