"""One shard of the rules: takes postings and memory samples as they come, tells transitions, keeps plain state.

Every posting is judged on its own, in event time, before the next one is taken, so what fires depends on the order
of the postings only and never on how they were batched. `now_ns` is log time. Idle keys are judged by `advance`, at
quarter hours and when an open finding is due; the caller asks `next_wake` and needs one timer for the whole shard.
"""

from typing import Any, Final

import msgspec

from tokensense_otel.core.call import Posting, Source
from tokensense_otel.core.insight import Insight
from tokensense_otel.dataflow.facts import MemorySample
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules import events
from tokensense_otel.dataflow.rules.call_rule import CallRule
from tokensense_otel.dataflow.rules.config import RuleSet
from tokensense_otel.dataflow.rules.evaluation.compose import compose
from tokensense_otel.dataflow.rules.evaluation.episodes import step
from tokensense_otel.dataflow.rules.evaluation.series import Series, decode_key, restore
from tokensense_otel.dataflow.rules.evaluation.table import Key, Table
from tokensense_otel.dataflow.rules.registry import CALL_RULES, MEMORY_RULES, RULES
from tokensense_otel.dataflow.rules.rule import SECOND_NS, RuleConfig
from tokensense_otel.dataflow.snapshots import check_version

VERSION: Final = 1
SKEW_NS: Final = 300 * SECOND_NS
"""How far ahead of log time an event may claim to be; beyond it is taken to be at that limit."""
BEAT_NS: Final = 900 * SECOND_NS
MAX_CLAMPED: Final = 10_000

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.decode


class RuleShard:
    """Guarantee: the insights and their ids are a function of the sequence of calls (in any batches) since the start,
    across `snapshot` and `restore`."""

    def __init__(self, rules: RuleSet, catalogue: Catalogue) -> None:
        self._rules = rules
        self._catalogue = catalogue
        self._tables = {name: Table(rule, rules.defaults.of(name).max_keys) for name, rule in RULES.items()}
        self._in_force: dict[str, list[tuple[Table, CallRule[Any], Any]]] = {}
        self._advanced_ns: int | None = None
        self._clamped: dict[bytes, int] = {}

    def ingest(self, postings: list[Posting], samples: list[MemorySample], now_ns: int) -> list[Insight]:
        """Take postings and samples in their order."""
        if self._advanced_ns is None:
            self._advanced_ns = now_ns
        told: list[Insight] = []
        late: dict[str, int] = {}
        for posting in postings:
            self._post(posting, now_ns, told, late)
        for sample in samples:
            self._take(sample, now_ns, told, late)
        self._report(late)
        return told

    def advance(self, now_ns: int) -> list[Insight]:
        """Let time pass: drop what fell out of the windows, judge what that changed, resolve what is over."""
        self._advanced_ns = max(now_ns, self._advanced_ns or 0)
        told: list[Insight] = []
        for table in self._tables.values():
            for key, series in table.items():
                changed = series.advance(now_ns)
                if changed:
                    series.blob = None
                if changed or series.episode.active:
                    self._judge(table, self._config(table, key), key, series, now_ns, now_ns, told)
                if series.empty and not series.episode.active:
                    table.drop(key)
        return told

    def next_wake(self) -> int | None:
        """When `advance` is wanted next, in log time; `None` while nothing is kept."""
        if self._advanced_ns is None or not any(len(table) for table in self._tables.values()):
            return None
        wake = (self._advanced_ns // BEAT_NS + 1) * BEAT_NS
        for table in self._tables.values():
            for key, series in table.active():
                config = self._config(table, key)
                resolve_ns, for_ns = _spans(config)
                due = series.episode.deadline(resolve_ns, for_ns)
                # What is overdue already waits for the next beat: it was looked at and is held by something else.
                if due is not None and self._advanced_ns < due < wake:
                    wake = due
        return wake

    def snapshot(self) -> bytes:
        """Everything, as bytes for `restore`. Only keys that changed since the last one are encoded again."""
        tables = {
            name: [[series.encoded(key) for key, series in table.items()], table.doubts.state()]
            for name, table in self._tables.items()
        }
        return _encode([VERSION, self._advanced_ns, list(self._clamped.items()), tables])

    @classmethod
    def restore(cls, rules: RuleSet, catalogue: Catalogue, snapshot: bytes) -> "RuleShard":
        """The shard as it was. Keys whose window was configured anew since then begin again, and that is reported.

        Raises:
            ValueError: when `snapshot` is of another version.
        """
        check_version(snapshot, VERSION, "rules")
        shard = cls(rules, catalogue)
        _, shard._advanced_ns, clamped, tables = _decode(snapshot)
        shard._clamped = dict(clamped)
        for name, (blobs, doubts) in tables.items():
            table = shard._tables.get(name)
            dropped = 0 if table is not None else len(blobs)
            if table is not None:
                table.doubts.load(doubts)
                for blob in blobs:
                    key, state = decode_key(blob)
                    series = table.rule.new_series(shard._config(table, key))
                    if restore(series, state, blob):
                        table.put(key, series)
                    else:
                        dropped += 1
            if dropped:
                events.STATE_DROPPED(dropped, rule=name)
        return shard

    def _post(self, posting: Posting, now_ns: int, told: list[Insight], late: dict[str, int]) -> None:
        call, sign = posting.call, posting.sign
        time_ns = self._event_time(posting, now_ns)
        in_force = self._in_force.get(call.project)
        if in_force is None:
            in_force = self._rules_of(call.project)
        summed = call.source is Source.METER
        for table, rule, config in in_force:
            if summed and not rule.takes_sums:
                continue
            fact = rule.observe(call, config, self._catalogue)
            if fact is None:
                continue
            key = (call.tenant, call.project, *fact.key)
            series = table.find(key)
            if series is None:
                if sign < 0 or not fact.opens:
                    continue
                series = rule.new_series(config)
                if not table.add(key, series, time_ns):
                    continue
            series.blob = None
            if not rule.post(series, call, fact, sign, time_ns):
                late[rule.name] = late.get(rule.name, 0) + 1
                continue
            series.last_ns = max(series.last_ns, time_ns)
            self._judge(table, config, key, series, series.last_ns, now_ns, told)

    def _take(self, sample: MemorySample, now_ns: int, told: list[Insight], late: dict[str, int]) -> None:
        time_ns = min(sample.time_ns, now_ns + SKEW_NS)
        for rule in MEMORY_RULES:
            table = self._tables[rule.name]
            key = (sample.tenant, sample.project, sample.entity)
            config = self._rules.for_project(sample.project).RAM_OVER_PROVISION
            if not config.enabled:
                continue
            series = table.find(key)
            if series is None:
                series = rule.new_series(config)
                if not table.add(key, series, time_ns):
                    continue
            series.blob = None
            if not rule.take(series, sample, time_ns):
                late[rule.name] = late.get(rule.name, 0) + 1
            series.last_ns = max(series.last_ns, time_ns)
            self._judge(table, config, key, series, series.last_ns, now_ns, told)

    def _judge(
        self,
        table: Table,
        config: RuleConfig,
        key: Key,
        series: Series,
        time_ns: int,
        now_ns: int,
        told: list[Insight],
    ) -> None:
        rule = table.rule
        size = rule.judge(series, config) if config.enabled else None
        if size is None and not series.episode.active:
            return
        resolve_ns, for_ns = _spans(config)
        series.blob = None
        transition = step(
            series.episode,
            size,
            time_ns,
            key=(key[0], key[1], rule.name, *key[2:]),
            bucket_ns=series.size_ns,
            resolve_after_ns=resolve_ns,
            for_ns=for_ns,
        )
        table.track(key, series)
        if transition is not None:
            insight = compose(
                rule, config, key, series, transition, time_ns=time_ns, now_ns=now_ns, catalogue=self._catalogue
            )
            told.append(insight)
            events.INSIGHTS(rule=rule.name, status=transition.status.value)

    def _event_time(self, posting: Posting, now_ns: int) -> int:
        """The end of the call, held back to `SKEW_NS` ahead of log time; a reversal goes where its posting went."""
        call = posting.call
        identity = call.trace_id + call.span_id
        if posting.sign < 0 and identity in self._clamped:
            return self._clamped.pop(identity)
        limit = now_ns + SKEW_NS
        if call.end_ns <= limit:
            return call.end_ns
        if posting.sign > 0:
            self._clamped[identity] = limit
            if len(self._clamped) > MAX_CLAMPED:
                del self._clamped[next(iter(self._clamped))]
        return limit

    def _rules_of(self, project: str) -> list[tuple[Table, CallRule[Any], Any]]:
        config = self._rules.for_project(project)
        each = [(self._tables[rule.name], rule, config.of(rule.name)) for rule in CALL_RULES]
        if len(self._in_force) >= MAX_CLAMPED:
            self._in_force.clear()
        in_force = self._in_force[project] = [item for item in each if item[2].enabled]
        return in_force

    def _config(self, table: Table, key: Key) -> RuleConfig:
        return self._rules.for_project(key[1]).of(table.rule.name)

    def _report(self, late: dict[str, int]) -> None:
        for name, count in late.items():
            events.TOO_LATE(count, rule=name)
        for name, table in self._tables.items():
            if table.evicted:
                events.KEYS_EVICTED(table.evicted, rule=name)
                table.evicted = 0


def _spans(config: RuleConfig) -> tuple[int, int]:
    return round(config.resolve_after_s * SECOND_NS), round(config.for_s * SECOND_NS)
