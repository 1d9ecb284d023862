"""Errors carry one decision: try again or not, and when.

    TokenSenseError
    ├── ConfigError        the user has to change something before a start; exit code 2
    ├── Permanent          this input will never be accepted; the sender must not send it again
    │   ├── TooLarge       … because it is over a size limit
    │   ├── Unauthenticated … because nobody vouched for it
    │   └── Forbidden      … because who it is may not
    └── Retryable          nothing is wrong with the input; try again after `delay_s` seconds
        └── Throttled      … and slow down

The world's failures are these; misuse by a programmer raises Python's own `ValueError` and `TypeError`.
"""


class TokenSenseError(Exception):
    """The root of what TokenSense raises on purpose. The message is shown to users: it says what to do."""


class ConfigError(TokenSenseError):
    """A configuration that cannot be started with. The message is one line: file, key, what is wrong, what to write."""


class Permanent(TokenSenseError):
    """Not now and not later: the same input would fail again."""


class TooLarge(Permanent):
    """Over a size limit, compressed or not."""


class Unauthenticated(Permanent):
    """No credentials, or none that are known."""


class Forbidden(Permanent):
    """Known, but not allowed to do this."""


class Retryable(TokenSenseError):
    """Nothing is wrong with the input. Try again after `delay_s` seconds."""

    def __init__(self, message: str, *, delay_s: float = 1.0) -> None:
        super().__init__(message)
        self.delay_s = delay_s


class Throttled(Retryable):
    """Try again after `delay_s`, and more slowly."""
