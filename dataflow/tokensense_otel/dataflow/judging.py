"""Rules over calls that are final, in event time, with every timer that falls between them: for replay and tests."""

from collections.abc import Iterator

from tokensense_otel.core.call import Call, Posting
from tokensense_otel.core.insight import Insight
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules import RuleSet, RuleShard
from tokensense_otel.dataflow.rules.evaluation.shard import Sample


class Judge:
    """All rules in one shard, whose log time is the event time of what it is given, which has to be in order."""

    def __init__(self, rules: RuleSet, catalogue: Catalogue) -> None:
        self._rules = RuleShard(rules, catalogue)

    def take(self, item: Call | Sample, time_ns: int) -> list[Insight]:
        """What a call, or something else that rules take, makes them tell."""
        told = list(self.until(time_ns))
        if isinstance(item, Call):
            return told + self._rules.ingest([Posting(1, item)], [], time_ns)
        return told + self._rules.ingest([], [item], time_ns)

    def until(self, time_ns: int) -> Iterator[Insight]:
        """What the rules tell as time passes up to this moment."""
        wake = self._rules.next_wake()
        while wake is not None and wake <= time_ns:
            yield from self._rules.advance(wake)
            after = self._rules.next_wake()
            wake = after if after is not None and after > wake else None
