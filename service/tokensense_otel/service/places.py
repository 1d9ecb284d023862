"""Where things are within `data_dir`, and the locks that keep one part from running twice on it."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.core.locks import take_lock

PROBED_S = 0.2
"""Longer than `is_held` holds a lock, to see whether it can be had: who takes it for good waits that long."""


def log_dir(data_dir: Path) -> Path:
    return data_dir / "log"


def run_dir(data_dir: Path) -> Path:
    """What lives only as long as the processes: locks, metrics, `up.json`."""
    return data_dir / "run"


def metrics_dir(data_dir: Path) -> Path:
    return run_dir(data_dir) / "metrics"


def up_file(data_dir: Path) -> Path:
    return run_dir(data_dir) / "up.json"


def make_dirs(data_dir: Path) -> None:
    """Create the folders, for their owner only.

    Raises:
        ConfigError: when they cannot be made or written to.
    """
    try:
        for folder in (data_dir, run_dir(data_dir), metrics_dir(data_dir)):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(data_dir, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise ConfigError(
            f"data_dir: {data_dir} cannot be used ({error.strerror}); write a folder that you may write to"
        ) from None


@contextlib.contextmanager
def only_one(
    data_dir: Path,
    name: str,
    *,
    wait_s: float = 0.0,
    sleep: Callable[[float], None] = time.sleep,
    command: str = "",
) -> Iterator[None]:
    """Hold `name` on `data_dir` for this process; the system lets go when the process ends, however it ends.

    `wait_s` is how long a predecessor that is just stopping is waited for; `command` is what runs where that is not
    called like the lock.

    Raises:
        ConfigError: when it is held by another process.
    """
    path = run_dir(data_dir) / f"{name}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not take_lock(descriptor, wait_s=wait_s, sleep=sleep):
            what = f"`tokensense {command or name}` already runs on {data_dir}"
            raise ConfigError(f"data_dir: {what}; stop it, or write another data_dir")
        yield
    finally:
        os.close(descriptor)


def is_held(data_dir: Path, name: str) -> bool:
    """Whether a process holds `name` now."""
    path = run_dir(data_dir) / f"{name}.lock"
    if not path.exists():
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        return not take_lock(descriptor)
    finally:
        os.close(descriptor)
