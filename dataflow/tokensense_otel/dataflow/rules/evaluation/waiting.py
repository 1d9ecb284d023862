"""Calls that may still learn whose they are wait before the rules judge them.

Children end before their root, so where only the root span names the team, a call is on the books as unattributed for
as long as its root takes to come. The books are corrected then, but a rule that had judged it would have raised an
alarm about a team that does not exist. So an unattributed call that is no root waits, up to `wait_s`:

- if its service has lately been seen to name teams late, and
- if nothing is known of its service yet (`_LEARN_NS` after its first such call).

Calls with a team, and services that never name one, wait for nothing after that. Time is log time.
"""

from collections import OrderedDict
from typing import Final

import msgspec

from tokensense_otel.core.call import Call, Posting
from tokensense_otel.dataflow.snapshots import check_version

VERSION: Final = 1
_SECOND: Final = 1_000_000_000
_LEARN_NS: Final = 60 * _SECOND
_LATE_NS: Final = 86_400 * _SECOND
_MAX_SERVICES: Final = 10_000
_MAX_WAITING: Final = 50_000

Service = tuple[str, str, str]
CallKey = tuple[str, bytes, bytes]


class _State(msgspec.Struct, array_like=True):
    version: int
    since: list[tuple[Service, int]]
    late: list[tuple[Service, int]]
    waiting: list[tuple[int, Call]]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_State)


class WaitingRoom:
    """One shard's waiting calls. `admit` gives what may be judged now, `release` what has waited long enough."""

    def __init__(self, wait_s: float) -> None:
        self._wait_ns = round(wait_s * _SECOND)
        self._since: OrderedDict[Service, int] = OrderedDict()
        """When the first unattributed call of a service came."""
        self._late: OrderedDict[Service, int] = OrderedDict()
        """When a service last named a team late."""
        self._waiting: OrderedDict[CallKey, tuple[int, Call]] = OrderedDict()

    def admit(self, postings: list[Posting], now_ns: int) -> list[Posting]:
        """Of these postings, in their order, those that need not wait."""
        if not self._wait_ns:
            return postings
        return [posting for posting in postings if posting.call.dimensions.team or self._judged_now(posting, now_ns)]

    def release(self, now_ns: int) -> list[Posting]:
        """Postings whose wait is over, oldest first."""
        released: list[Posting] = []
        while self._waiting:
            key, (since_ns, call) = next(iter(self._waiting.items()))
            if now_ns - since_ns < self._wait_ns and len(self._waiting) <= _MAX_WAITING:
                break
            del self._waiting[key]
            released.append(Posting(1, call))
        return released

    def next_wake(self) -> int | None:
        if not self._waiting:
            return None
        since_ns, _ = next(iter(self._waiting.values()))
        return since_ns + self._wait_ns

    def snapshot(self) -> bytes:
        return _encoder.encode(
            _State(VERSION, list(self._since.items()), list(self._late.items()), list(self._waiting.values()))
        )

    @classmethod
    def restore(cls, wait_s: float, snapshot: bytes) -> "WaitingRoom":
        """The room that gave this snapshot.

        Raises:
            ValueError: when the snapshot is of another version.
        """
        check_version(snapshot, VERSION, "waiting calls")
        state = _decoder.decode(snapshot)
        room = cls(wait_s)
        room._since = OrderedDict(state.since)
        room._late = OrderedDict(state.late)
        room._waiting = OrderedDict((_key(call), (since_ns, call)) for since_ns, call in state.waiting)
        return room

    def _judged_now(self, posting: Posting, now_ns: int) -> bool:
        call = posting.call
        service = (call.tenant, call.project, call.dimensions.service)
        if posting.sign < 0:
            _remember(self._late, service, now_ns)
            waits = self._waiting.get(_key(call))
            if waits is not None and waits[1] == call:
                del self._waiting[_key(call)]
                return False
            return True
        if call.root or not self._may_be_late(service, now_ns):
            return True
        self._waiting[_key(call)] = (now_ns, call)
        return False

    def _may_be_late(self, service: Service, now_ns: int) -> bool:
        late_ns = self._late.get(service)
        if late_ns is not None and now_ns - late_ns < _LATE_NS:
            return True
        since_ns = self._since.get(service)
        if since_ns is None:
            _remember(self._since, service, now_ns)
            return True
        return now_ns - since_ns < _LEARN_NS


def _key(call: Call) -> CallKey:
    return call.tenant, call.trace_id, call.span_id


def _remember(services: OrderedDict[Service, int], service: Service, now_ns: int) -> None:
    services[service] = now_ns
    services.move_to_end(service)
    if len(services) > _MAX_SERVICES:
        services.popitem(last=False)
