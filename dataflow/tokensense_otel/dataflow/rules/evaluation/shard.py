"""One shard of the rules: takes postings and samples as they come, tells transitions, keeps plain state.

Every rule judges each posting on its own, in event time, before it takes the next one, so what fires depends on the
order of the postings only and never on how they were batched. `now_ns` is log time. Idle keys are judged by `advance`:
all of them at quarter hours, those with an open finding as soon as something leaves their window or they are due. The
caller asks `next_wake` and needs one timer for the whole shard.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Final, Protocol

import msgspec

from tokensense_otel.core.call import Call, Posting, Source
from tokensense_otel.core.insight import Insight
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules import events
from tokensense_otel.dataflow.rules.call_rule import CallRule, Fact
from tokensense_otel.dataflow.rules.config import RuleSet
from tokensense_otel.dataflow.rules.evaluation.bloom import digest
from tokensense_otel.dataflow.rules.evaluation.compose import compose
from tokensense_otel.dataflow.rules.evaluation.durations import SECOND_NS
from tokensense_otel.dataflow.rules.evaluation.episodes import step
from tokensense_otel.dataflow.rules.evaluation.in_force import InForce, Rules, in_force
from tokensense_otel.dataflow.rules.evaluation.parting import partings
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries, Series, carry_over, restore
from tokensense_otel.dataflow.rules.evaluation.table import Key, Other, Sizes, Table
from tokensense_otel.dataflow.rules.rule import Level
from tokensense_otel.dataflow.snapshots import check_version

VERSION: Final = 4
SKEW_NS: Final = 300 * SECOND_NS
"""How far ahead of log time an event may claim to be; beyond it is taken to be at that limit."""
BEAT_NS: Final = 900 * SECOND_NS
MAX_CLAMPED: Final = 10_000

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.decode


class Sample(Protocol):
    """What rules take besides calls: see `Rule.sample_type`."""

    @property
    def tenant(self) -> str: ...
    @property
    def project(self) -> str: ...
    @property
    def time_ns(self) -> int: ...


Item = tuple[Posting, int, Rules]
"""A posting, its event time, and the rules in force for it."""


class RuleShard:
    """Guarantee: the insights and their ids are a function of the sequence of calls (in any batches) since the start,
    across `snapshot` and `restore`. Without a `level` it judges the rules of all levels."""

    def __init__(self, rules: RuleSet, catalogue: Catalogue, level: Level | None = None) -> None:
        self._rules = rules
        self._catalogue = catalogue
        self._level = level
        self._tables = {
            name: Table(rule, rules.defaults.of(name).max_keys)
            for name, rule in rules.rules.items()
            if level in (None, rule.level)
        }
        self._call_rules = [table.rule for table in self._tables.values() if isinstance(table.rule, CallRule)]
        self._in_force: dict[tuple[str, str], Rules] = {}
        self._advanced_ns: int | None = None
        self._clamped: dict[bytes, int] = {}
        self._reported: dict[str, Other] = {}
        self._parting: list[Insight] = []
        """Ends of what rules had said that are gone, not told yet."""

    def ingest(self, postings: Sequence[Posting], samples: Sequence[Sample], now_ns: int) -> list[Insight]:
        """Take postings and samples in their order."""
        if self._advanced_ns is None:
            self._advanced_ns = now_ns
        late: dict[str, int] = {}
        items = [(posting, self._event_time(posting, now_ns), self._of_call(posting.call)) for posting in postings]
        found: list[tuple[int, Insight]] = []
        # Rule by rule, as the processor's caches like it; rules know nothing of each other.
        for rule in self._call_rules:
            found += self._post(rule, items, now_ns, late)
        found.sort(key=itemgetter(0))
        told = [insight for _, insight in found]
        for sample in samples:
            self._take(sample, now_ns, told, late)
        self._report(late)
        return self._parted() + told

    def advance(self, now_ns: int) -> list[Insight]:
        """Let time pass: drop what fell out of the windows, judge what that changed, resolve what is over."""
        before_ns = self._advanced_ns
        self._advanced_ns = max(now_ns, before_ns or 0)
        told = self._parted()
        for table in self._tables.values():
            first = len(told)
            beat_ns = table.rule.beat_ns
            every = beat_ns or BEAT_NS
            whole = before_ns is None or now_ns // every > before_ns // every
            if whole:
                table.door.advance(now_ns)
                table.beaten_ns = max(table.beaten_ns, now_ns)
            for key in table.keys() if whole else table.active():
                if beat_ns is None and table.quiet(key, now_ns):
                    continue
                each = self._of(key[0], key[1]).named[table.rule.name]
                series = table.peek(key, each.config)
                changed = series.advance(now_ns)
                if whole:
                    series.beaten_ns = table.beaten_ns
                if changed:
                    series.blob = None
                if changed or series.episode.active or beat_ns is not None:
                    series.now_ns = now_ns
                    self._judge(each, key, series, now_ns, told)
                if series.empty and not series.episode.active:
                    table.drop(key)
                else:
                    series.until_ns = series.idle_until_ns()
            told[first:] = sorted(told[first:], key=_place)  # keys lie in the order of their last use, or as bytes
        return told

    def next_wake(self) -> int | None:
        """When `advance` is wanted next, in log time; `None` while nothing is kept."""
        since_ns = self._advanced_ns
        if since_ns is None or self._parting:
            return since_ns
        wake: int | None = None
        for table in self._tables.values():
            if not len(table):
                continue
            every = table.rule.beat_ns or BEAT_NS
            beat_ns = (since_ns // every + 1) * every
            # What is overdue already waits for the next beat: it was looked at and is held by something else.
            due_ns = table.due(since_ns)
            wake = min(beat_ns, due_ns or beat_ns, wake or beat_ns)
        return wake

    def snapshot(self) -> bytes:
        """Everything, as bytes for `restore`. Only keys that changed since the last one are encoded again."""
        tables = {name: table.state() for name, table in self._tables.items()}
        return _encode([VERSION, self._advanced_ns, list(self._clamped.items()), tables])

    @classmethod
    def restore(cls, rules: RuleSet, catalogue: Catalogue, snapshot: bytes, level: Level | None = None) -> "RuleShard":
        """The shard as it was. Keys whose window was configured anew since then begin again, and that is reported; an
        open finding of theirs stays open until its condition is false.

        Raises:
            ValueError: when `snapshot` is of another version.
        """
        check_version(snapshot, VERSION, "rules")
        shard = cls(rules, catalogue, level)
        _, shard._advanced_ns, clamped, tables = _decode(snapshot)
        shard._clamped = dict(clamped)
        for name, stored in tables.items():
            table = shard._tables.get(name)
            dropped = 0 if table is not None else len(stored[0])
            if name not in rules.rules:
                shard._parting += partings(name, stored[0], shard._advanced_ns or 0)
            for key, state, blob in table.load(stored) if table is not None else ():
                each = shard._of(key[0], key[1]).named[name]
                series = each.rule.new_series(each.config)
                if not restore(series, state, blob):
                    dropped += 1
                    series = each.rule.new_series(each.config)
                    if not carry_over(series, state):
                        continue
                each.table.put(key, series)
                _note(each, key, series)
            if dropped:
                events.STATE_DROPPED(dropped, rule=name)
        shard._reported = {name: msgspec.structs.replace(table.other) for name, table in shard._tables.items()}
        return shard

    def _parted(self) -> list[Insight]:
        parted, self._parting = self._parting, []
        return parted

    def reload(self, rules: RuleSet) -> None:
        """Go on with other rules: what is unchanged keeps its state, a changed window or a new rule begins anew."""
        self.__dict__.update(RuleShard.restore(rules, self._catalogue, self.snapshot(), self._level).__dict__)

    def sizes(self) -> dict[str, Sizes]:
        """How many keys each rule has."""
        return {name: table.sizes() for name, table in self._tables.items()}

    def _post(
        self, rule: CallRule[Any], items: list[Item], now_ns: int, late: dict[str, int]
    ) -> list[tuple[int, Insight]]:
        """Give one rule all postings in their order. What that told, each after the number of its posting."""
        name, catalogue, takes_sums = rule.name, self._catalogue, rule.takes_sums
        numbered: list[tuple[int, Insight]] = []
        told: list[Insight] = []
        for number, (posting, time_ns, rules) in enumerate(items):
            call = posting.call
            each = rules.calls.get(name)
            if each is None or (not takes_sums and call.source is Source.METER):
                continue
            config = each.config
            more = rule.observe(call, config, catalogue)
            while more is not None:
                fact, more = more, more.more
                key = _key(call, fact)
                series = each.table.find(key, config)
                if series is None:
                    series = self._open(each, rule, key, fact, posting, time_ns)
                    if series is None:
                        continue
                series.blob, series.until_ns = None, 0
                if not rule.post(series, call, fact, posting.sign, time_ns):
                    late[name] = late.get(name, 0) + 1
                    continue
                if time_ns > series.last_ns:
                    series.last_ns = time_ns
                series.now_ns = series.last_ns
                # Most calls change no verdict, and are seen to here.
                if series.episode.active or rule.judge(series, config) is not None:
                    self._judge(each, key, series, now_ns, told)
            if told:
                numbered += [(number, insight) for insight in told]
                told.clear()
        return numbered

    def _open(
        self, each: InForce, rule: CallRule[Any], key: Key, fact: Fact, posting: Posting, time_ns: int
    ) -> CallSeries | None:
        """The series of a key that is not followed yet, with the call that waited at the door; `None` where it is not
        to be followed."""
        call, table = posting.call, each.table
        if posting.sign < 0:
            if rule.unbounded:
                table.door.take_back(digest(key), call)
            return None
        if not fact.opens:
            return None
        name = digest(key) if rule.unbounded else b""
        if name and table.door.wait(name, call, time_ns, forbids=rule.forbids(fact)):
            given_up = table.door.given_up
            if given_up is not None:
                table.other.add(given_up.calls, given_up.nanos)
                if given_up.forbids:
                    table.doubt(given_up.key, time_ns)
            return None
        series: CallSeries = rule.new_series(each.config)
        if not table.add(key, series, time_ns):
            table.give_up(call)
            return None
        if name:
            waited = table.door.take(name)
            if waited is None or not self._catch_up(each, rule, key, series, *waited):
                series.partial = True
        return series

    def _catch_up(
        self, each: InForce, rule: CallRule[Any], key: Key, series: CallSeries, time_ns: int, call: Call
    ) -> bool:
        """Count the call that waited at the door. `False` where it is of another key after all."""
        fact = rule.observe(call, each.config, self._catalogue)
        while fact is not None and _key(call, fact) != key:
            fact = fact.more
        if fact is None:
            return False
        rule.post(series, call, fact, 1, time_ns)
        series.last_ns = time_ns
        return True

    def _take(self, sample: Sample, now_ns: int, told: list[Insight], late: dict[str, int]) -> None:
        time_ns = min(sample.time_ns, now_ns + SKEW_NS)
        for each in self._of(sample.tenant, sample.project).samples.get(type(sample), ()):
            rule = each.rule
            parts = rule.place(sample, each.config)
            if parts is None:
                continue
            key = (sample.tenant, sample.project, *parts)
            series = each.table.find(key, each.config)
            if series is None:
                if rule.unbounded:
                    continue  # such keys are opened by calls, past the door
                series = rule.new_series(each.config)
                if not each.table.add(key, series, time_ns):
                    continue
            series.blob, series.until_ns = None, 0
            if not rule.take(series, sample, time_ns):
                late[rule.name] = late.get(rule.name, 0) + 1
            series.now_ns = series.last_ns = max(series.last_ns, time_ns)
            self._judge(each, key, series, now_ns, told)

    def _judge(self, each: InForce, key: Key, series: Series, now_ns: int, told: list[Insight]) -> None:
        """Judge a key at `series.now_ns` and tell what that changes at `now_ns`."""
        rule, episode = each.rule, series.episode
        config = each.soft if episode.firing else each.config
        size = rule.judge(series, config) if config.enabled else None
        if size is None:
            if not episode.active:
                return
            if episode.firing and config.no_data == "keep" and config.enabled and series.silent:
                each.table.track(key, None)
                return
        series.blob = None
        transition = step(
            episode,
            size,
            series.now_ns,
            key=(key[0], key[1], rule.name, *key[2:]),
            bucket_ns=series.size_ns,
            resolve_after_ns=config.keep_firing_for,
            for_ns=config.hold,
            update_factor=config.update_factor,
        )
        _note(each, key, series)
        if transition is not None:
            insight = compose(
                each,
                key,
                series,
                transition,
                time_ns=series.now_ns,
                now_ns=now_ns,
                catalogue=self._catalogue,
            )
            told.append(insight)
            events.INSIGHTS(rule=rule.name, status=transition.status.value)

    def _event_time(self, posting: Posting, now_ns: int) -> int:
        """The end of the call, held back to `SKEW_NS` ahead of log time; a reversal goes where its posting went."""
        call = posting.call
        limit = now_ns + SKEW_NS
        if call.end_ns <= limit and not self._clamped:
            return call.end_ns
        identity = call.trace_id + call.span_id
        if posting.sign < 0 and identity in self._clamped:
            return self._clamped.pop(identity)
        if call.end_ns <= limit:
            return call.end_ns
        if posting.sign > 0:
            self._clamped[identity] = limit
            if len(self._clamped) > MAX_CLAMPED:
                del self._clamped[next(iter(self._clamped))]
        return limit

    def _of_call(self, call: Call) -> Rules:
        return self._in_force.get((call.tenant, call.project)) or self._of(call.tenant, call.project)

    def _of(self, tenant: str, project: str) -> Rules:
        """The rules in force for a project."""
        rules = self._in_force.get((tenant, project))
        if rules is None:
            if len(self._in_force) >= MAX_CLAMPED:
                self._in_force.clear()
            rules = in_force(self._rules.in_force(tenant, project), self._tables)
            self._in_force[tenant, project] = rules
        return rules

    def _report(self, late: dict[str, int]) -> None:
        for name, count in late.items():
            events.TOO_LATE(count, rule=name)
        for name, table in self._tables.items():
            other = table.other
            if other.keys > (before := self._reported.get(name, Other())).keys:
                events.KEYS_EVICTED(other.keys - before.keys, rule=name)
                events.CALLS_NOT_FOLLOWED(max(0, other.calls - before.calls), rule=name)
                events.SPEND_NOT_FOLLOWED(max(0, other.nanos - before.nanos), rule=name)
                self._reported[name] = Other(other.keys, other.calls, other.nanos)


def _key(call: Call, fact: Fact) -> Key:
    return (call.tenant, call.project if fact.project is None else fact.project, *fact.key)


def _note(each: InForce, key: Key, series: Series) -> None:
    """Keep the list of keys that have to be looked at although nothing comes."""
    episode, config = series.episode, each.config
    if not episode.active:
        each.table.rest(key)
        return
    due_ns = episode.deadline(config.keep_firing_for, config.hold)
    if episode.false_since_ns is None:
        expires_ns = series.expires_ns()
        due_ns = expires_ns if due_ns is None or (expires_ns is not None and expires_ns < due_ns) else due_ns
    each.table.track(key, due_ns)


def _place(insight: Insight) -> tuple[str, str, list[tuple[str, str]]]:
    """What is told in one moment is told in this order, whichever way it is kept."""
    return insight.tenant, insight.project, sorted(insight.scope.items())
