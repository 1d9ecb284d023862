"""What a destination is: it renders an insight, and it sends what it rendered once.

Delivery: at least once. The ring around an exporter owns queue, order, retry, rate and dead letters; an exporter never
sleeps, retries or counts. One process calls it, never twice at once for the same episode.

    class Ntfy:
        Config = NtfyConfig                        # a subclass of ExporterConfig or HttpExporterConfig
        def __init__(self, config: NtfyConfig): …
        def render(self, insight): …               # pure
        async def start(self, context): …
        async def send(self, payload, prior): …    # one attempt
        async def aclose(self): …
"""

from dataclasses import dataclass, field, replace
from typing import Protocol, Self

from tokensense_otel.core.config import JsonObject
from tokensense_otel.core.insight import Insight
from tokensense_otel.exporters.config import ExporterConfig
from tokensense_otel.exporters.http.client import HttpClient

RECEIPT_BYTES = 2048
"""The most JSON that a receipt may hold."""

Body = JsonObject | str


@dataclass(frozen=True, slots=True)
class Payload:
    """A rendered insight: what an exporter's own `send` understands, without secrets or times of attempts.

    `id` is the insight's and the same on every copy, so that a receiver can drop copies. `fallback` is a smaller body
    that is sent once in place of `body` when the endpoint rejects it; `None` where there is no smaller one.
    """

    id: str
    episode_id: str
    body: Body
    fallback: Body | None = None

    def degraded(self) -> Self:
        """The payload with its fallback as the body."""
        return self if self.fallback is None else replace(self, body=self.fallback, fallback=None)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of delivery. `data` (at most 2 kB of JSON) is kept and handed back as `prior` for the episode's next."""

    data: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Context:
    """What the runtime lends an exporter between `start` and `aclose`."""

    name: str
    http: HttpClient


class Exporter(Protocol):
    """The class of one also has `Config`, its keys as a subclass of `ExporterConfig`, and is called with one of them.

    One at whose end something stays open until it is resolved says `keeps_state = True`: a test then resolves it.
    """

    def render(self, insight: Insight) -> Payload:
        """The insight in the destination's terms. Pure: no I/O, no clock, the same answer every time."""
        ...

    async def start(self, context: Context) -> None:
        """Get ready to send.

        Raises:
            ConfigError: when what was configured can never work.
        """

    async def send(self, payload: Payload, prior: Receipt | None) -> Receipt:
        """Send once. `prior` is the receipt of the episode's message before this one, if it was delivered.

        Raises:
            Retry, Throttle, EndpointDown, Reject: see `errors`.
        """
        ...

    async def aclose(self) -> None:
        """Release what `start` took. May be called twice, and without `start`."""


@dataclass(frozen=True, slots=True)
class NamedExporter:
    """An exporter under the name that the configuration gives it."""

    name: str
    exporter: Exporter
    config: ExporterConfig
