"""Which partitions a process writes where several write one log: each partition has one writer at any time."""

from typing import NamedTuple


class Share(NamedTuple):
    """The share of the `number`th (from 1) of `of` processes: every `of`th partition."""

    number: int
    of: int

    def among(self, partitions: list[str]) -> list[str]:
        """Those that are this process's own."""
        return partitions[self.number - 1 :: self.of]


WHOLE = Share(1, 1)
"""Of a process that writes alone."""
