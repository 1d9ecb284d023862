"""What the demo asks the running product: new insights, and usage by team. The same API that users have."""

from dataclasses import dataclass
from decimal import Decimal
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

import msgspec

from tokensense_otel.core.config import split_endpoint
from tokensense_otel.core.insight import Insight

_TIMEOUT_S: Final = 5.0


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
        self._host, self._port = split_endpoint(endpoint)
        self._seen: set[str] = set()

    def new_insights(self) -> list[Insight]:
        """Insights that were not returned before, oldest first. Empty while the API is not there."""
        body = self._get("/api/v1/insights?limit=1000")
        if body is None:
            return []
        found = msgspec.json.decode(body, type=dict[str, list[Insight]])["insights"]
        new = [insight for insight in found if insight.id not in self._seen]
        self._seen.update(insight.id for insight in new)
        return new

    def usage(self) -> list[TeamUsage]:
        """Usage by team. Empty while the API is not there."""
        body = self._get("/api/v1/usage?group_by=team")
        rows: list[dict[str, Any]] = [] if body is None else msgspec.json.decode(body)["usage"]
        return [TeamUsage(row["team"], row["calls"], row["errors"], _decimal(row["cost_usd"])) for row in rows]

    def _get(self, path: str) -> bytes | None:
        """The body of a good answer; `None` for any other, and while the API is being started again."""
        connection = HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()
        return body if response.status == 200 else None


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
