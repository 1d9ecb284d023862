"""Which class a model belongs to and which sibling is recommended instead: a dated table, `tiers.yaml`, not code.

Explicit patterns come first. A model that no pattern names is classed by its listed output price (`by_output_price`
in the table, USD for a million tokens).
"""

import re
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import yaml

from tokensense_otel.core.money import NANOS_PER_USD

TABLE: Final = Path(__file__).with_name("tiers.yaml")


class Tier(StrEnum):
    FLAGSHIP = "flagship"
    PREMIUM = "premium"
    STANDARD = "standard"
    ECONOMY = "economy"

    @property
    def is_premium(self) -> bool:
        """Premium or above."""
        return self in (Tier.FLAGSHIP, Tier.PREMIUM)


class TierTable:
    """`tiers.yaml`, compiled. Model names are matched anywhere in the name, in lower case, first match wins."""

    def __init__(self, table: dict[str, Any]) -> None:
        self._patterns = [
            (re.compile(pattern), None if entry["tier"] == "none" else Tier(entry["tier"]))
            for entry in table["tiers"]
            for pattern in entry["models"]
        ]
        self._instead = [
            (re.compile(pattern), tuple(entry["use"])) for entry in table["instead"] for pattern in entry["models"]
        ]
        self._floors = [
            (Tier(entry["tier"]), entry["at_least"] * NANOS_PER_USD)
            for entry in sorted(table["by_output_price"], key=lambda each: -each["at_least"])
        ]

    @classmethod
    def load(cls, path: Path = TABLE) -> "TierTable":
        return cls(yaml.safe_load(path.read_text(encoding="utf-8")))

    def tier(self, model: str, output_rate: int | None) -> Tier | None:
        """The tier of a model whose output costs `output_rate` nano-dollars a million tokens (`None`: not listed).

        `None` for what is no text model (image, speech, embedding …) and for unknown models.
        """
        name = model.lower()
        for pattern, tier in self._patterns:
            if pattern.search(name):
                return tier
        if output_rate is None:
            return None
        return next((tier for tier, floor in self._floors if output_rate >= floor), None)

    def instead(self, model: str) -> tuple[str, ...]:
        """Names of recommended cheaper siblings, best first; the caller checks that they exist and are cheaper."""
        name = model.lower()
        for pattern, use in self._instead:
            if found := pattern.search(name):
                return tuple(found.expand(each) for each in use)
        return ()
