"""Locks on files between processes: the system lets go of them when their holder ends, however it ends."""

import fcntl
import time
from collections.abc import Callable
from typing import Final

_RETRY_S: Final = 0.05


def take_lock(descriptor: int, *, wait_s: float = 0.0, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Lock an open file for this process alone; False when another still held it after `wait_s` seconds."""
    retries = round(wait_s / _RETRY_S)
    while not _locked(descriptor):
        if retries == 0:
            return False
        retries -= 1
        sleep(_RETRY_S)
    return True


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
