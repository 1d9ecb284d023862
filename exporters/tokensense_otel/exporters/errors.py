"""What a send can end in, apart from a `Receipt`. An exporter raises one of these; the delivery ring does the rest.

    TokenSenseError
    ├── Permanent
    │   └── Reject         the message is bad: send its fallback once, else it is a dead letter
    └── Retryable
        ├── Retry          no verdict, or a passing failure: the same message again, later
        ├── EndpointDown   the message is fine, the endpoint takes none at all: pause it, keep the backlog
        └── Throttled
            └── Throttle   the endpoint asks for fewer: nothing to it before `after` seconds have passed

Anything else that `send` raises is treated as a `Retry` and reported as a bug of the exporter.
"""

from tokensense_otel.core.errors import Permanent, Retryable, Throttled

THROTTLE_S = 30.0
"""How long to hold off when an endpoint throttles without saying for how long (PagerDuty's rate limit page: 30 s)."""


class Reject(Permanent):
    """The endpoint understood and refused this message; it would refuse it again."""


class Retry(Retryable):
    """Try the same message again, no sooner than `after` seconds from now where that is given.

    `ambiguous` says that bytes left and no verdict came back: the message may have arrived, and a copy may follow.
    """

    def __init__(self, reason: str, *, after: float = 0.0, ambiguous: bool = False) -> None:
        super().__init__(reason, delay_s=after)
        self.ambiguous = ambiguous


class EndpointDown(Retryable):
    """The endpoint takes nothing: a revoked key, a wrong URL, a blocked address. A person has to mend it.

    It is probed with the oldest waiting message once a minute; `gone` (HTTP 410) stops that until the next start.
    """

    def __init__(self, reason: str, *, gone: bool = False) -> None:
        super().__init__(reason, delay_s=0.0)
        self.gone = gone


class Throttle(Throttled):
    """The endpoint said "slower": nothing is sent to it for `after` seconds. Not counted as a failure."""

    def __init__(self, reason: str, *, after: float = THROTTLE_S) -> None:
        super().__init__(reason, delay_s=after)
