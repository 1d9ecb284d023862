"""Wait for something in another process, with a deadline that names what did not happen."""

import time
from collections.abc import Callable


def eventually(happened: Callable[[], bool], *, within_s: float = 30.0, what: str = "") -> None:
    """Return as soon as `happened()` is true; fail after `within_s` seconds."""
    deadline = time.monotonic() + within_s
    while not happened():
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {within_s:g} s: {what or happened}")
        time.sleep(0.02)
