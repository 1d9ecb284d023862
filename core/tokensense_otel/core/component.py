"""The written life cycle that every long-lived part keeps.

`start` returns once the part works, and undoes itself when it fails half-way. `stop` may be called before `start`, and
twice; it loses nothing that was accepted and returns within its deadline. `Clock` is how time gets in: tests pass
their own.
"""

import time
from collections.abc import Callable
from typing import Protocol

Clock = Callable[[], int]
"""Returns Unix nanoseconds."""


def system_clock() -> int:
    return time.time_ns()


class Component(Protocol):
    async def start(self) -> None:
        """Begin to work.

        Raises:
            ConfigError: when what was configured cannot be started here (a port taken, a folder not writable).
        """

    async def stop(self) -> None:
        """Stop taking new work, finish what was accepted, release everything."""
