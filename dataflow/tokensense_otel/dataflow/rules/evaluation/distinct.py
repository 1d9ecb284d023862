"""How many different users, sessions or prompts there were in a window: exact up to a cap, then an honest bound."""

import hashlib
from typing import Any, Final

CAP: Final = 1_000


class RollingDistinct:
    """Names of the last `width_ns`, each as eight bytes of its hash, with how often it came in each bucket of time.

    Beyond `cap` different names new ones are only counted as not followed, so `count` is a lower bound then, and
    `exact` says so. What is taken back leaves nothing behind.
    """

    __slots__ = ("_cap", "_count", "_missed", "_parts", "_size", "_totals", "head")

    def __init__(self, width_ns: int, size_ns: int, cap: int = CAP) -> None:
        self._size = size_ns
        self._count = width_ns // size_ns
        self._cap = cap
        self._parts: dict[int, dict[bytes, int]] = {}
        self._missed: dict[int, int] = {}
        self._totals: dict[bytes, int] = {}
        self.head: int | None = None

    @property
    def shape(self) -> list[int]:
        return [self._size, self._count]

    @property
    def empty(self) -> bool:
        return not (self._parts or self._missed)

    @property
    def count(self) -> int:
        """Different names in the window; at least so many where it is not `exact`."""
        return len(self._totals)

    @property
    def repeats(self) -> int:
        """How often a name came that had come before in the window; at least so often where it is not `exact`."""
        return sum(self._totals.values()) - len(self._totals)

    @property
    def exact(self) -> bool:
        return not self._missed

    def add(self, time_ns: int, name: str, sign: int = 1) -> bool:
        """Count a name, or take it back. `False`, and nothing changed, where the time is before the window."""
        bucket = time_ns // self._size
        if self.head is None or bucket > self.head:
            self._move(bucket)
        elif bucket <= self.head - self._count:
            return False
        member = hashlib.blake2b(name.encode(), digest_size=8).digest()
        part = self._parts.get(bucket, {})
        follows = member in (part if sign < 0 else self._totals)
        if follows or (sign > 0 and len(self._totals) < self._cap):
            self._parts[bucket] = part
            _change(part, member, sign)
            _change(self._totals, member, sign)
            if not part:
                del self._parts[bucket]
        elif sign > 0 or bucket in self._missed:
            _change(self._missed, bucket, sign)
        return True

    def advance(self, time_ns: int) -> bool:
        """Move the window forward to `time_ns` and drop what fell out. Whether anything did."""
        bucket = time_ns // self._size
        return self._move(bucket) if self.head is not None and bucket > self.head else False

    def _move(self, head: int) -> bool:
        self.head = head
        last = head - self._count
        gone = [bucket for bucket in self._parts if bucket <= last]
        for bucket in gone:
            for member, times in self._parts.pop(bucket).items():
                _change(self._totals, member, -times)
        missed = [bucket for bucket in self._missed if bucket <= last]
        for bucket in missed:
            del self._missed[bucket]
        return bool(gone or missed)

    def snapshot(self) -> list[Any]:
        """Plain data for `restore`."""
        parts = [[bucket, list(part.items())] for bucket, part in self._parts.items()]
        return [self.head, parts, list(self._missed.items())]

    def restore(self, state: list[Any]) -> None:
        """Take over a snapshot of a window of the same shape."""
        self.head, parts, missed = state
        self._parts = {bucket: dict(part) for bucket, part in parts}
        self._missed = dict(missed)
        self._totals = {}
        for part in self._parts.values():
            for member, times in part.items():
                _change(self._totals, member, times)


def _change(counts: dict[Any, int], key: bytes | int, times: int) -> None:
    left = counts.get(key, 0) + times
    if left:
        counts[key] = left
    else:
        counts.pop(key, None)
