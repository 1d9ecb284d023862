"""The life of one finding on one key: pending → firing → (update) → resolved, decided without I/O.

Time is the caller's (event time while events come, log time while a key is idle). Ids derive from the key and from
the bucket in which the condition became true, so that a replay of the same traffic yields the same ids.

A finding that comes and goes is damped. The third crossing (it fires, is resolved, fires) within `FLAP_BUCKETS` buckets
(or as many waits for a resolution, and at most `FLAP_NS`) is told as flapping. That episode stays open until the
condition has been false for as long, so nobody is told of what it does meanwhile.
"""

from typing import Final

import msgspec

from tokensense_otel.core.insight import Status, stable_id

WORSE: Final = 2.0
"""By how much a firing finding has to have grown since it was last told, where nothing else is said."""

FLAP_BUCKETS: Final = 20
FLAP_CROSSINGS: Final = 3
FLAP_NS: Final = 6 * 3_600_000_000_000


class Episode(msgspec.Struct, array_like=True):
    """State of a key. `id` is empty while nothing was told; times are Unix nanoseconds."""

    id: str = ""
    started_ns: int = 0
    """When the condition became true, in event time."""
    pending: bool = False
    told_size: int = 0
    updates: int = 0
    false_since_ns: int | None = None
    last_bucket: int = -1
    repeats: int = 0
    """How many episodes began in `last_bucket` before this one."""
    crossings: list[int] = []
    """When it last fired and was resolved, oldest first."""
    quiet_ns: int = 0
    """Where it flaps, for how long the condition has to be false before it is over."""

    @property
    def active(self) -> bool:
        """Whether time alone can change something."""
        return self.pending or bool(self.id)

    @property
    def firing(self) -> bool:
        return bool(self.id)

    def deadline(self, resolve_after_ns: int, for_ns: int) -> int | None:
        """When this key has to be looked at again, whatever comes in."""
        if self.firing:
            return None if self.false_since_ns is None else self.false_since_ns + max(resolve_after_ns, self.quiet_ns)
        return self.started_ns + for_ns if self.pending else None


class Transition(msgspec.Struct, frozen=True):
    """Something to tell."""

    id: str
    episode_id: str
    status: Status
    started_ns: int
    resolved_ns: int | None = None
    flapping_ns: int = 0
    """Where it flaps, within what span of time it did, and for how long it has to be calm before it is over."""


def step(
    episode: Episode,
    size: int | None,
    time_ns: int,
    *,
    key: tuple[str, ...],
    bucket_ns: int,
    resolve_after_ns: int,
    for_ns: int = 0,
    update_factor: float = WORSE,
) -> Transition | None:
    """Move on to `time_ns`. `size` says how big the finding is, `None` that its condition is false.

    `key` is (tenant, project, rule, …); with the bucket of the crossing it makes the episode's id.
    """
    if size is None:
        return _calm(episode, time_ns, resolve_after_ns)
    episode.false_since_ns = None
    if not episode.firing:
        if not episode.pending:
            episode.pending, episode.started_ns = True, time_ns
        if time_ns - episode.started_ns < for_ns:
            return None
        return _fire(episode, size, key, bucket_ns, min(FLAP_BUCKETS * max(bucket_ns, resolve_after_ns), FLAP_NS))
    if size < update_factor * episode.told_size:
        return None
    episode.told_size = size
    episode.updates += 1
    name = stable_id("in", episode.id, Status.UPDATE, episode.updates)
    return Transition(name, episode.id, Status.UPDATE, episode.started_ns, flapping_ns=episode.quiet_ns)


def _fire(episode: Episode, size: int, key: tuple[str, ...], bucket_ns: int, flap_ns: int) -> Transition:
    started_ns = episode.started_ns
    bucket = started_ns // bucket_ns
    episode.repeats = episode.repeats + 1 if bucket == episode.last_bucket else 0
    again = (episode.repeats,) if episode.repeats else ()
    episode.id = stable_id("ep", *key, bucket * bucket_ns, *again)
    episode.pending, episode.last_bucket, episode.told_size, episode.updates = False, bucket, size, 0
    episode.crossings = [*(each for each in episode.crossings if started_ns - each <= flap_ns), started_ns]
    episode.quiet_ns = flap_ns if len(episode.crossings) >= FLAP_CROSSINGS else 0
    name = stable_id("in", episode.id, Status.FIRING)
    return Transition(name, episode.id, Status.FIRING, started_ns, flapping_ns=episode.quiet_ns)


def _calm(episode: Episode, time_ns: int, resolve_after_ns: int) -> Transition | None:
    episode.pending = False
    if not episode.firing:
        return None
    if episode.false_since_ns is None:
        episode.false_since_ns = time_ns
    resolved_ns = episode.false_since_ns + max(resolve_after_ns, episode.quiet_ns)
    if time_ns < resolved_ns:
        return None
    name = stable_id("in", episode.id, Status.RESOLVED)
    gone = Transition(name, episode.id, Status.RESOLVED, episode.started_ns, resolved_ns, episode.quiet_ns)
    episode.crossings = [*episode.crossings, resolved_ns][-FLAP_CROSSINGS:]
    episode.id, episode.false_since_ns, episode.told_size, episode.updates, episode.quiet_ns = "", None, 0, 0, 0
    return gone
