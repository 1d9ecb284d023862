"""Where calls are told of by spans or log records, so that metrics about the same calls must not count."""

from collections.abc import Iterable
from typing import Final

import msgspec

from tokensense_otel.core.call import Call
from tokensense_otel.dataflow.accounting.sameness import names_agree
from tokensense_otel.dataflow.facts import Covered, Kind, SpanFacts

_CALL: Final = Kind.CALL
MINUTE_NS: Final = 60_000_000_000
_SLACK_NS: Final = 5_000_000_000
"""By how much a span's end and the moment at which its call was metered may differ."""
_REMEMBERED: Final = 50_000

Models = tuple[str, str]


class Witness:
    """Says of which minutes spans and records tell, each at least once; it remembers only to repeat itself less."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str, str, str, int]] = set()

    def of(self, facts: Iterable[SpanFacts]) -> list[Covered]:
        """The minutes that these facts cover, as far as that was not said lately."""
        fresh: list[Covered] = []
        for each in facts:
            call = each.call
            if call is None or not (call.request_model or call.response_model or each.kind is _CALL):
                continue
            service = each.resource.service
            key = (call.tenant, service, call.request_model, call.response_model, call.end_ns // MINUTE_NS)
            if key not in self._told:
                if len(self._told) >= _REMEMBERED:
                    self._told.clear()
                self._told.add(key)
                fresh.append(Covered(*key))
        return fresh


class Coverage(msgspec.Struct, array_like=True):
    """The minutes in which a service's calls to each model were told of: bits of an hour's minutes, by hour."""

    minutes: dict[Models, dict[int, int]] = {}

    def add(self, covered: Covered) -> bool:
        """Whether that is news."""
        hours = self.minutes.setdefault((covered.request_model, covered.response_model), {})
        hour, minute = divmod(covered.minute, 60)
        known = hours.get(hour, 0)
        hours[hour] = known | 1 << minute
        return hours[hour] != known

    def covers(self, call: Call, from_ns: int, to_ns: int) -> bool:
        """Whether any call of that time may be one of those that the meter tells of."""
        first, last = (from_ns - _SLACK_NS) // MINUTE_NS, (to_ns + _SLACK_NS) // MINUTE_NS
        for models, hours in self.minutes.items():
            if not names_agree(models, (call.request_model, call.response_model)):
                continue
            for hour in range(first // 60, last // 60 + 1):
                lowest, highest = max(first - hour * 60, 0), min(last - hour * 60, 59)
                if hours.get(hour, 0) & (1 << highest + 1) - (1 << lowest):
                    return True
        return False

    def forget(self, before_ns: int) -> None:
        """Let go of the hours that ended before then."""
        hour = before_ns // (60 * MINUTE_NS)
        for models, hours in list(self.minutes.items()):
            for old in [each for each in hours if each < hour]:
                del hours[old]
            if not hours:
                del self.minutes[models]
