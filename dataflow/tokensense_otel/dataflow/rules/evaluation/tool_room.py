"""Uses of tools wait a moment before the rules judge them: for the calls of their session, which take a longer way, and
for the span that says whose they are.

A use that is taken back while it waits was never told. Time is log time.
"""

from collections import OrderedDict
from typing import Any, Final

import msgspec

from tokensense_otel.dataflow.facts import ToolUse
from tokensense_otel.dataflow.rules.evaluation.durations import SECOND_NS

WAIT_NS: Final = 5 * SECOND_NS
MAX_WAITING: Final = 50_000


class ToolRoom:
    """One shard's waiting uses, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[ToolUse, list[int]] = OrderedDict()
        """When it came; more than once where two are alike to the last bit."""
        self._count = 0

    def admit(self, uses: list[ToolUse], now_ns: int) -> list[ToolUse]:
        """Take uses in. Returns what may be judged now: those that are taken back and do not wait any more."""
        gone: list[ToolUse] = []
        for use in uses:
            if use.sign > 0:
                self._waiting.setdefault(use, []).append(now_ns)
                self._count += 1
            elif not self._take(msgspec.structs.replace(use, sign=1)):
                gone.append(use)
        return gone

    def release(self, now_ns: int) -> list[ToolUse]:
        """Uses whose wait is over, oldest first."""
        released: list[ToolUse] = []
        while self._waiting:
            use, since = next(iter(self._waiting.items()))
            if now_ns - since[0] < WAIT_NS and self._count <= MAX_WAITING:
                break
            del self._waiting[use]
            self._count -= len(since)
            released += [use] * len(since)
        return released

    def next_wake(self) -> int | None:
        return next(iter(self._waiting.values()))[0] + WAIT_NS if self._waiting else None

    def state(self) -> list[Any]:
        """Plain data for `load`."""
        return list(self._waiting.items())

    def load(self, state: list[tuple[ToolUse, list[int]]]) -> None:
        self._waiting = OrderedDict((use, list(since)) for use, since in state)
        self._count = sum(map(len, self._waiting.values()))

    def _take(self, use: ToolUse) -> bool:
        since = self._waiting.get(use)
        if since is None:
            return False
        since.pop()
        self._count -= 1
        if not since:
            del self._waiting[use]
        return True
