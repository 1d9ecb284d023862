"""What processes take of the machine (Linux): processor time, and memory."""

import contextlib
import os
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PARTS = frozenset({"receiver", "dataflow", "exporters", "api"})


def family(pid: int) -> list[int]:
    """A process and its descendants (Linux)."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_seconds(pids: list[int]) -> float:
    """Processor seconds that they have taken so far, in user mode and in the kernel."""
    ticks = 0
    for pid in pids:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(after_name[11]) + int(after_name[12])
    return ticks * _TICK_S


def memory_of_parts(pid: int) -> dict[str, int]:
    """Resident KiB of each part of a running `up`."""
    found: dict[str, int] = {}
    for each in family(pid):
        words = Path(f"/proc/{each}/cmdline").read_text().split("\0")
        name = next((word for word in words if word in _PARTS), "")
        lines = Path(f"/proc/{each}/status").read_text().splitlines()
        found[name] = found.get(name, 0) + next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return {name: kib for name, kib in found.items() if name}
