"""Attempts at the same request: which of them were thrown away because another one followed. Exact under reversals."""

from bisect import insort
from collections import OrderedDict
from operator import attrgetter
from typing import Any, Final

import msgspec

KEEP_NS: Final = 3_600_000_000_000
"""How long after its last attempt a request is followed, and an attempt can still be taken back."""
MOST_REQUESTS: Final = 256
MOST_ATTEMPTS: Final = 16
"""What is followed at once, of requests and of one request; beyond it the oldest are settled as they are."""


class Attempt(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One call. `nanos` is `None` where its cost is unknown.

    `number` is which attempt it was, where that has to tell the attempts at one request from those at the next; else 0.
    """

    end_ns: int
    trace_id: bytes
    span_id: bytes
    start_ns: int
    failed: bool
    cut: bool
    nanos: int | None
    price_id: str = ""
    number: int = 0

    @property
    def place(self) -> tuple[int, bytes, bytes]:
        """What attempts are kept in the order of."""
        return self.end_ns, self.trace_id, self.span_id

    @property
    def useless(self) -> bool:
        return self.failed or self.cut

    def follows(self, other: "Attempt", within_ns: int) -> bool:
        """Whether this one was made because `other` was of no use."""
        soon = other.end_ns <= self.start_ns <= other.end_ns + within_ns
        return soon and (self.number > other.number or not self.number)


_place: Final = attrgetter("place")


class Attempts:
    def __init__(self) -> None:
        # Longest untouched first.
        self._requests: OrderedDict[str, list[Attempt]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._requests)

    def post(self, link: str, attempt: Attempt, sign: int, within_ns: int) -> list[tuple[Attempt, int]]:
        """Post an attempt at the request `link`, or take it back: which attempts are thrown away now (+1), and which
        are so no more (−1).

        A request is followed from its first useless attempt on; of others nothing is remembered.
        """
        request = self._requests.get(link)
        if request is None:
            if sign < 0 or not attempt.useless:
                return []
            if len(self._requests) >= MOST_REQUESTS:
                self._requests.popitem(last=False)
            self._requests[link] = [attempt]
            return []
        before = _thrown_away(request, within_ns)
        if sign > 0:
            insort(request, attempt, key=_place)
        elif attempt in request:
            request.remove(attempt)
        after = _thrown_away(request, within_ns)
        self._requests.move_to_end(link)
        if len(request) > MOST_ATTEMPTS:
            del request[0]
        if not request:
            del self._requests[link]
        return [(each, 1) for each in after if each not in before] + [
            (each, -1) for each in before if each not in after
        ]

    def forget(self, now_ns: int) -> None:
        """Drop requests that nothing was heard of for `KEEP_NS`."""
        for link in [link for link, request in self._requests.items() if request[-1].end_ns < now_ns - KEEP_NS]:
            del self._requests[link]

    def snapshot(self) -> list[Any]:
        return list(self._requests.items())

    def restore(self, state: list[Any]) -> None:
        self._requests = OrderedDict((link, msgspec.convert(request, list[Attempt])) for link, request in state)


def _thrown_away(request: list[Attempt], within_ns: int) -> list[Attempt]:
    """Useless attempts that another one followed."""
    return [
        each
        for index, each in enumerate(request)
        if each.useless and any(later.follows(each, within_ns) for later in request[index + 1 :])
    ]
