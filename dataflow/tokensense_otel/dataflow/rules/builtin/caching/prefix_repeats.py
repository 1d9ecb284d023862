"""How often prompts began like another one while a prompt cache would still have known it."""

import hashlib
from typing import Any, Final

CAP: Final = 64
"""Different prompts that are told apart in each bucket; more are not followed, so the count is a lower bound."""
MOST: Final = 512
"""And in all buckets together; beyond it the oldest bucket is forgotten."""
LATE: Final = 12
"""Buckets after which one without a repeat is forgotten: nothing is expected to make one any more."""
_BYTES: Final = 8


class _Part:
    """One bucket: how often each prompt came, by its beginning and itself, and how many different ones begin alike."""

    __slots__ = ("prompts", "repeats", "variants")

    def __init__(self) -> None:
        self.prompts: dict[bytes, int] = {}
        self.variants: dict[bytes, int] = {}
        self.repeats = 0

    def change(self, pair: bytes, times: int) -> None:
        """A pair without its second half is a prompt of which only the beginning is known: each is one of its own."""
        before = self.prompts.get(pair, 0)
        after = before + times
        if after:
            self.prompts[pair] = after
        else:
            del self.prompts[pair]
        prefix = pair[:_BYTES]
        old = self.variants.get(prefix, 0)
        new = old + (times if pair == prefix else bool(after) - bool(before))
        self.repeats += max(0, new - 1) - max(0, old - 1)
        if new:
            self.variants[prefix] = new
        else:
            self.variants.pop(prefix, None)


class RollingRepeats:
    """Calls of the last `width_ns` that shared their beginning with another call of the same bucket of time.

    A bucket is no longer than a cache's lifetime, so of n different prompts that begin alike n − 1 could have been
    served. A whole prompt that is sent again counts once: that is for a cache of answers. Integers by bucket: what is
    taken back leaves nothing behind, whatever the order.
    """

    __slots__ = ("_count", "_parts", "_prompts", "_size", "head", "repeats")

    def __init__(self, width_ns: int, size_ns: int) -> None:
        self._size = size_ns
        self._count = width_ns // size_ns
        self._parts: dict[int, _Part] = {}
        self._prompts = 0
        self.head: int | None = None
        self.repeats = 0
        """Read only."""

    @property
    def shape(self) -> list[int]:
        return [self._size, self._count]

    @property
    def empty(self) -> bool:
        return not self._parts

    def add(self, time_ns: int, prefix: str, prompt: str, sign: int = 1) -> bool:
        """Count a call, or take it back. `False`, and nothing changed, where the time is before the window."""
        bucket = time_ns // self._size
        if self.head is None or bucket > self.head:
            self._move(bucket)
        elif bucket <= self.head - self._count:
            return False
        part = self._parts.get(bucket) or _Part()
        pair = _short(prefix) + (_short(prompt) if prompt else b"")
        if pair in part.prompts or (sign > 0 and len(part.prompts) < CAP):
            repeats, prompts = part.repeats, len(part.prompts)
            part.change(pair, sign)
            self.repeats += part.repeats - repeats
            self._prompts += len(part.prompts) - prompts
            if part.prompts:
                self._parts[bucket] = part
            else:
                del self._parts[bucket]
            if self._prompts > MOST:
                self._drop(min(self._parts))
        return True

    def advance(self, time_ns: int) -> bool:
        """Move the window forward to `time_ns` and drop what fell out. Whether anything did."""
        bucket = time_ns // self._size
        return self._move(bucket) if self.head is not None and bucket > self.head else False

    def _move(self, head: int) -> bool:
        self.head = head
        gone = [bucket for bucket in self._parts if bucket <= head - self._count]
        single = [b for b, part in self._parts.items() if head - self._count < b <= head - LATE and not part.repeats]
        for bucket in gone + single:
            self._drop(bucket)
        return bool(gone or single)

    def _drop(self, bucket: int) -> None:
        part = self._parts.pop(bucket)
        self.repeats -= part.repeats
        self._prompts -= len(part.prompts)

    def snapshot(self) -> list[Any]:
        """Plain data for `restore`."""
        return [self.head, [[bucket, list(part.prompts.items())] for bucket, part in self._parts.items()]]

    def restore(self, state: list[Any]) -> None:
        """Take over a snapshot of a window of the same shape."""
        self.head, parts = state
        self._parts = {}
        for bucket, prompts in parts:
            part = self._parts[bucket] = _Part()
            for pair, times in prompts:
                part.change(pair, times)
        self.repeats = sum(part.repeats for part in self._parts.values())
        self._prompts = sum(len(part.prompts) for part in self._parts.values())


def _short(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=_BYTES).digest()
