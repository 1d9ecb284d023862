"""Order: one message at a time for each episode, the oldest first; episodes do not wait for each other.

PagerDuty makes this a matter of truth and not of taste: a resolve without an open alert is dropped, and a trigger
after a resolve opens a new one (Events API v2). Firing, updates and resolve of an episode thus go in the order of the
outbox, each after the one before it has ended.
"""

from collections.abc import Iterable

from tokensense_otel.store.outbox import Delivery


class Lanes:
    """The lanes of one exporter. Pure state: which episodes have a message under way."""

    def __init__(self) -> None:
        self._under_way: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def is_busy(self, episode_id: str) -> bool:
        return episode_id in self._under_way

    def take(self, due: Iterable[Delivery], slots: int) -> list[Delivery]:
        """Up to `slots` deliveries to start now, at most one for each episode; their lanes are busy from here on."""
        taken: list[Delivery] = []
        for delivery in due:
            if len(taken) >= slots:
                break
            if delivery.episode_id not in self._under_way:
                self._under_way[delivery.episode_id] = delivery.id
                taken.append(delivery)
        return taken

    def reserve(self, waiting: Iterable[Delivery]) -> list[Delivery]:
        """Those of free lanes, all of each lane, in their order; their lanes are busy from here on."""
        mine: dict[str, int] = {}
        reserved: list[Delivery] = []
        for delivery in waiting:
            if delivery.episode_id in mine or delivery.episode_id not in self._under_way:
                mine.setdefault(delivery.episode_id, delivery.id)
                reserved.append(delivery)
        self._under_way |= mine
        return reserved

    def release_all(self, reserved: Iterable[Delivery]) -> None:
        """What became of them is recorded: their lanes are free."""
        for episode_id in {delivery.episode_id for delivery in reserved}:
            del self._under_way[episode_id]

    def release(self, delivery: Delivery) -> None:
        """The delivery's outcome is recorded: its lane is free.

        Raises:
            ValueError: when it is another one that is under way there.
        """
        if self._under_way.get(delivery.episode_id) != delivery.id:
            raise ValueError(f"delivery {delivery.id} is not under way")
        del self._under_way[delivery.episode_id]
