"""What the demo asks the running product: new insights, and usage by team. The same API that users have."""

from dataclasses import dataclass
from decimal import Decimal

import httpx2
import msgspec

from tokensense_otel.core.insight import Insight


@dataclass(frozen=True)
class TeamUsage:
    """What one team used; `cost` is in USD, `None` where no call has a known price."""

    team: str
    calls: int
    errors: int
    cost: Decimal | None


class Api:
    """A client of `up`'s API at `host:port`."""

    def __init__(self, endpoint: str) -> None:
        self._client = httpx2.Client(base_url=f"http://{endpoint}", timeout=5.0, trust_env=False)
        self._seen: set[str] = set()

    def close(self) -> None:
        self._client.close()

    def new_insights(self) -> list[Insight]:
        """Insights that were not returned before, oldest first. Empty while the API is not there."""
        try:
            body = self._client.get("/api/v1/insights", params={"limit": "1000"}).raise_for_status().content
        except httpx2.HTTPError:
            return []
        found = msgspec.json.decode(body, type=dict[str, list[Insight]])["insights"]
        new = [insight for insight in found if insight.id not in self._seen]
        self._seen.update(insight.id for insight in new)
        return new

    def usage(self) -> list[TeamUsage]:
        """Usage by team. Empty while the API is not there."""
        try:
            rows = self._client.get("/api/v1/usage", params={"group_by": "team"}).raise_for_status().json()["usage"]
        except httpx2.HTTPError:
            return []
        return [TeamUsage(row["team"], row["calls"], row["errors"], _decimal(row["cost_usd"])) for row in rows]


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
