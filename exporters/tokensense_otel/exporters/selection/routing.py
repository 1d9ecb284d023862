"""Whether an exporter gets a finding. Pure.

It is decided when the finding fires, once: what follows of the episode goes where its firing went, so that nobody is
left with a finding that never ends.
"""

from collections.abc import Sequence

from tokensense_otel.core.insight import Insight
from tokensense_otel.core.mutes import matches, parse_matcher
from tokensense_otel.exporters.selection.calendar import open_until
from tokensense_otel.exporters.selection.config import RouteConfig


def is_routed(insight: Insight, routes: Sequence[RouteConfig], now_ns: int) -> bool:
    """Whether one of the routes takes it at this time; without routes everything is taken."""
    return not routes or any(_takes(route, insight, now_ns) for route in routes)


def _takes(route: RouteConfig, insight: Insight, now_ns: int) -> bool:
    return matches(map(parse_matcher, route.match), insight) and open_until(route, now_ns) is not None
