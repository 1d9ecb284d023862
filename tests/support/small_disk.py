"""A disk of a few hundred kilobytes that really fills up: a tmpfs in a mount namespace of its own.

It ends with the process that lives on it, so nothing stays mounted whatever happens to a test. Needs Linux that lets
this user make namespaces; `NEEDS_SMALL_DISK` skips, with the reason, where it does not.
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest


def on_small_disk(command: Sequence[str], at: Path, size: str) -> list[str]:
    """`command` as it has to be run to see a disk of `size` (`512k`) at the folder `at`."""
    script = f"mount -t tmpfs -o size={size},mode=0700 tmpfs {shlex.quote(str(at))} && exec {shlex.join(command)}"
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", script]


def seen_by(pid: int, path: Path) -> Path:
    """The same path as process `pid` sees it."""
    return Path(f"/proc/{pid}/root") / path.relative_to("/")


@cache
def _is_possible() -> bool:
    if shutil.which("unshare") is None:
        return False
    probe = on_small_disk(["true"], Path("/tmp"), "4k")
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


NEEDS_SMALL_DISK = pytest.mark.skipif(
    os.name != "posix" or not _is_possible(), reason="this user may not mount a small disk in a namespace of its own"
)
