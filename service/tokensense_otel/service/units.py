"""The processes that make up a running TokenSense: one for each part, and of receivers as many as are configured."""

from typing import NamedTuple

from tokensense_otel.service.config import Settings

PARTS = ("receiver", "dataflow", "exporters", "api")
"""In the order in which they are stopped: first nothing more is accepted, then what was accepted is finished."""


class Unit(NamedTuple):
    """One process: the `number`th (from 1) of a part."""

    part: str
    number: int = 1

    @property
    def name(self) -> str:
        """What it is called in logs, locks and `up.json`: the first, most often the only one, like its part."""
        return self.part if self.number == 1 else f"{self.part}-{self.number}"


def receivers_of(settings: Settings) -> list[str]:
    """Names of the receiver's processes, as their heartbeats carry them."""
    return [unit.name for unit in units_of(settings, ("receiver",))]


def units_of(settings: Settings, parts: tuple[str, ...] = PARTS) -> tuple[Unit, ...]:
    """Every process that these parts are run as."""
    return tuple(
        Unit(part, number)
        for part in parts
        for number in range(1, (settings.receiver.processes if part == "receiver" else 1) + 1)
    )
