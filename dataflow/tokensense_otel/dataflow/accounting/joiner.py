"""What joins reports of one call that came in different traces, whatever it is that they have in common.

Postings that pass a joiner are recorded as they are; when another report of the call comes, what was posted is reversed
and the joined call is posted instead. The stages in `identity.py` say which reports may be of one call.
"""

import hashlib
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Self

import msgspec

from tokensense_otel.core.call import Call, Cost, Posting, Source
from tokensense_otel.core.usage import Accounting
from tokensense_otel.dataflow.accounting.changes import Changes
from tokensense_otel.dataflow.accounting.config import AccountingConfig
from tokensense_otel.dataflow.accounting.merge import complete, over
from tokensense_otel.dataflow.accounting.packing import PLAIN, Packer, PackerState
from tokensense_otel.dataflow.accounting.sameness import clusters, witness
from tokensense_otel.dataflow.accounting.shards import is_heard
from tokensense_otel.dataflow.snapshots import check_version

VERSION = 3
_SECOND = 1_000_000_000

Price = Callable[[Call], Cost]

_encoder = msgspec.msgpack.Encoder()
_call_decoder = msgspec.msgpack.Decoder(Call)


class _Entry(msgspec.Struct, array_like=True, gc=False):
    """Reports that may be of one call. They are kept encoded and soon packed: few are ever looked at again."""

    key: str
    last_ns: int
    reports: tuple[bytes, ...]
    posted: tuple[bytes, ...] = ()
    """What they came to on the books; nothing where that is the reports themselves."""
    dictionary: int = PLAIN
    """With which each of them is packed."""


class _State(msgspec.Struct, array_like=True):
    version: int
    lone: list[_Entry]
    joined: list[_Entry]
    packer: PackerState


_state_decoder = msgspec.msgpack.Decoder(_State)


class Joiner(ABC):
    """One shard by key. A lone report is remembered for a short window, joined ones for long.

    `price` says what a call costs that reports complete each other to; without it usage and cost are those of one.
    """

    def __init__(self, config: AccountingConfig, price: Price | None = None) -> None:
        self._config = config
        self._price = price
        self._window_ns = round(config.identity_window_s * _SECOND)
        self._linger_ns = round(config.identity_linger_s * _SECOND)
        self._packer = Packer()
        self._plain: dict[str, _Entry] = {}
        """Entries that came or changed since the last snapshot, and are to be packed."""
        self._lone: OrderedDict[str, _Entry] = OrderedDict()
        self._joined: OrderedDict[str, _Entry] = OrderedDict()
        self._apart: dict[bytes, str] = {}
        """Digest of a report that was set apart → the key of its entry."""

    @staticmethod
    @abstractmethod
    def key(call: Call) -> str:
        """What two reports of one call have in common."""

    @staticmethod
    @abstractmethod
    def same(one: Call, two: Call) -> bool:
        """Whether two reports with one key are of one call."""

    def ingest(self, postings: Iterable[Posting], now_ns: int) -> Changes:
        """Pass postings on, so that of the reports of one call only one counts."""
        changes = Changes()
        by_key: dict[str, list[Posting]] = {}
        for posting in postings:
            by_key.setdefault(self.key(posting.call), []).append(posting)
        for key, some in by_key.items():
            for few in _few_at_once(some):
                self._post(key, few, now_ns, changes)
        while len(self) > self._config.max_identities:
            self._forget_oldest(self._lone or self._joined)
        self._pack_some()
        return changes

    def advance(self, now_ns: int) -> Changes:
        """Forget what is older than its window. What it came to is already on the books."""
        for entries, window_ns in ((self._lone, self._window_ns), (self._joined, self._linger_ns)):
            while entries and now_ns - next(iter(entries.values())).last_ns >= window_ns:
                self._forget_oldest(entries)
        return Changes()

    def next_wake(self) -> int | None:
        """When `advance` has something to do, in Unix nanoseconds."""
        wakes = [
            next(iter(entries.values())).last_ns + window_ns
            for entries, window_ns in ((self._lone, self._window_ns), (self._joined, self._linger_ns))
            if entries
        ]
        return min(wakes, default=None)

    def snapshot(self) -> bytes:
        """The state as bytes. What came since the snapshot before is from then on kept packed."""
        if self._packer.wants_samples:
            self._packer.learn(report for entry in self._plain.values() for report in entry.reports)
        if self._packer.ready:
            for entry in self._plain.values():
                self._pack(entry)
            self._plain.clear()
        lone, joined = list(self._lone.values()), list(self._joined.values())
        self._packer.keep(entry.dictionary for entry in (*lone, *joined))
        return _encoder.encode(_State(VERSION, lone, joined, self._packer.state()))

    def _pack_some(self) -> None:
        """Pack bit by bit what came some time ago, so that a snapshot finds little left to pack."""
        while len(self._plain) > _MAX_PLAIN and self._packer.ready:
            self._pack(self._plain.pop(next(iter(self._plain))))

    def _pack(self, entry: _Entry) -> None:
        packed = [self._packer.pack(call) for call in (*entry.reports, *entry.posted)]
        entry.dictionary = packed[0][0]
        calls, count = tuple(call for _, call in packed), len(entry.reports)
        entry.reports, entry.posted = calls[:count], calls[count:]

    def _unpack(self, entry: _Entry) -> None:
        if entry.dictionary == PLAIN:
            return
        number, entry.dictionary = entry.dictionary, PLAIN
        entry.reports = tuple(self._packer.unpack(number, call) for call in entry.reports)
        entry.posted = tuple(self._packer.unpack(number, call) for call in entry.posted)

    @classmethod
    def restore(cls, config: AccountingConfig, snapshot: bytes, price: Price | None = None) -> Self:
        """The shard that gave this snapshot.

        Raises:
            ValueError: when the snapshot is of another version.
        """
        check_version(snapshot, VERSION, "joined reports")
        state = _state_decoder.decode(snapshot)
        shard = cls(config, price)
        shard._packer = Packer(state.packer)
        shard._lone = OrderedDict((entry.key, entry) for entry in state.lone)
        shard._joined = OrderedDict((entry.key, entry) for entry in state.joined)
        for entry in state.joined:
            if _APART in entry.key:
                shard._unpack(entry)
                shard._plain[entry.key] = entry
                shard._apart |= {_digest(report): entry.key for report in entry.reports}
        return shard

    def __len__(self) -> int:
        return len(self._lone) + len(self._joined)

    def _post(self, key: str, postings: list[Posting], now_ns: int, changes: Changes) -> None:
        entry = self._lone.pop(key, None) or self._joined.pop(key, None)
        if entry is None:
            entry = _Entry(key, now_ns, ())
            if len(postings) == 1 and postings[0].sign > 0:  # as nearly all are
                entry.reports = (_encoder.encode(postings[0].call),)
                changes.postings += postings
                self._lone[key] = self._plain[key] = entry
                return
        self._unpack(entry)
        before = entry.posted or entry.reports
        reports = list(entry.reports)
        balance = [0, 0]
        for posting in postings:
            report = _encoder.encode(posting.call)
            if posting.sign > 0:
                reports.append(report)
            elif report in reports:
                reports.remove(report)
            elif self._took_back(report, posting, changes):
                continue
            else:
                # What was forgotten stands on the books as it came, so its reversal passes as it comes.
                changes.postings.append(posting)
                continue
            balance[posting.call.source is Source.RECORD] += posting.sign
        entry.reports = tuple(reports)
        entry.last_ns = max(entry.last_ns, now_ns)
        self._settle(entry, before, balance, postings[0].call.tenant, changes)
        if entry.reports:
            (self._joined if entry.posted else self._lone)[key] = self._plain[key] = entry
        else:
            self._plain.pop(key, None)

    def _settle(
        self, entry: _Entry, before: tuple[bytes, ...], balance: list[int], tenant: str, changes: Changes
    ) -> None:
        """Post the difference between what the reports came to before and what they come to now.

        `balance` is how many more reports there are, spans first and log records second.
        """
        groups: list[list[Call]] = []
        entry.posted = ()
        if len(entry.reports) > 1:
            groups = clusters([_call_decoder.decode(report) for report in entry.reports], self.same)
            if len(groups) < len(entry.reports):
                entry.posted = tuple(_encoder.encode(join(group, self._price)) for group in groups)
        gone, come = list(before), []
        for call in entry.posted or entry.reports:
            if call in gone:
                gone.remove(call)
            else:
                come.append(call)
        postings = [Posting(-1, _call_decoder.decode(call)) for call in gone]
        postings += [Posting(1, _call_decoder.decode(call)) for call in come]
        changes.postings += postings
        # The stage before counted every report as a call; where it is a second one, that is put right here.
        extra = [-each for each in balance]
        for posting in postings:
            extra[posting.call.source is Source.RECORD] += posting.sign
        spans, records = extra
        changes.account(tenant, Accounting(calls=spans + records, duplicates=-spans, records=records))
        if len(entry.reports) > (_MAX_HEARD if is_heard(entry.key) else _MAX_REPORTS):
            self._set_apart(entry, groups)

    def _set_apart(self, entry: _Entry, groups: list[list[Call]]) -> None:
        """Compare no more with the older half: an id that so many share is no identity, but what a stub server answers.

        A report that stands alone is forgotten, since its reversal passes as it comes. Joined ones get an entry of
        their own: where one of them is taken back, the others count.
        """
        half = len(groups) // 2
        for group in groups[:half]:
            if len(group) > 1:
                reports = tuple(_encoder.encode(call) for call in group)
                digests = [_digest(report) for report in reports]
                key = f"{entry.key}{_APART}{digests[0].hex()}"
                posted = (_encoder.encode(join(group, self._price)),)
                self._joined[key] = self._plain[key] = _Entry(key, entry.last_ns, reports, posted)
                self._apart |= dict.fromkeys(digests, key)
        entry.posted = entry.posted[half:]
        entry.reports = tuple(_encoder.encode(call) for group in groups[half:] for call in group)
        if len(entry.posted) == len(entry.reports):
            entry.posted = ()

    def _took_back(self, report: bytes, posting: Posting, changes: Changes) -> bool:
        """Whether the reversed report had been set apart; those that it was joined with are then settled anew."""
        key = self._apart.get(_digest(report), "") if self._apart else ""
        entry = self._joined.get(key)
        if entry is None:
            return False
        self._unpack(entry)
        self._forget(self._joined.pop(key))
        before = entry.posted
        entry.reports = tuple(each for each in entry.reports if each != report)
        balance = [0, 0]
        balance[posting.call.source is Source.RECORD] = -1
        self._settle(entry, before, balance, posting.call.tenant, changes)
        if entry.posted:
            self._joined[key] = self._plain[key] = entry
            self._apart |= {_digest(each): key for each in entry.reports}
        return True

    def _forget_oldest(self, entries: OrderedDict[str, _Entry]) -> None:
        self._forget(entries.popitem(last=False)[1])

    def _forget(self, entry: _Entry) -> None:
        self._plain.pop(entry.key, None)
        if _APART in entry.key:
            self._unpack(entry)
            for report in entry.reports:
                self._apart.pop(_digest(report), None)


def _few_at_once(postings: list[Posting]) -> Iterator[list[Posting]]:
    """A crowd bit by bit, in the order of time: reports of one call are near each other, and comparing is quadratic."""
    if len(postings) <= _AT_ONCE:
        yield postings
        return
    ordered = sorted(postings, key=lambda posting: (posting.call.start_ns, posting.call.end_ns))
    for start in range(0, len(ordered), _AT_ONCE):
        yield ordered[start : start + _AT_ONCE]


_AT_ONCE = 32
_MAX_PLAIN = 64
"""Entries of a shard that wait for a snapshot to be packed."""
_MAX_REPORTS = 8
_MAX_HEARD = 24
"""More where many calls share a key because of what their reports lack."""


_APART = "\x1e"
"""In the key of what was set apart, after the key that it shared."""


def _digest(report: bytes) -> bytes:
    return hashlib.blake2b(report, digest_size=8).digest()


def join(calls: list[Call], price: Price | None = None) -> Call:
    """The best witness's call with what only the others know; without `price` but for its usage and cost."""
    first, *others = sorted(calls, key=witness)
    best = first
    for other in others:
        best = complete(best, other, tokens=price is not None)
        best = msgspec.structs.replace(best, dimensions=over(best.dimensions, other.dimensions))
    return best if price is None or best is first else msgspec.structs.replace(best, cost=price(best))
