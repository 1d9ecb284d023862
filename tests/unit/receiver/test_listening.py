"""How many connections the system lets a process have."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from tokensense_otel.receiver.listening import allow_connections

soft, hard, count = (int(argument) for argument in sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
allow_connections(count)
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "count", "after"),
    [
        (256, 4096, 1000, "1512 4096"),
        (256, 1024, 1000, "1024 1024"),
        (2048, 4096, 1000, "2048 4096"),
    ],
    ids=["raised", "as far as it goes", "never lowered"],
)
def test_the_soft_limit_is_raised_as_far_as_needed(soft: int, hard: int, count: int, after: str) -> None:
    """Connections and 512 other files fit, the hard limit holds, and a limit that is high enough is left alone."""
    command = [sys.executable, "-c", SCRIPT, str(soft), str(hard), str(count)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == after
