import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

TOKENSENSE = [sys.executable, "-m", "tokensense_otel.service.main"]


def test_a_reader_that_goes_away_is_no_noise(tmp_path: Path) -> None:
    """`tokensense … | head` prints no traceback when the reader closes the pipe."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [*TOKENSENSE, "rules", "list", "--format", "json"],
            stdout=write_end, stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(write_end)
    assert done.stderr == ""
    assert done.returncode in (0, 1)


def test_help_loads_no_part_of_the_server(tmp_path: Path) -> None:
    """`tokensense --help` answers without importing Bytewax, SQLAlchemy, gRPC or the price list."""
    code = (
        "import sys\n"
        "from tokensense_otel.service import main\n"
        "sys.argv = ['tokensense', '--help']\n"
        "try: main.run()\n"
        "except SystemExit: pass\n"
        "heavy = {'bytewax', 'sqlalchemy', 'grpc', 'genai_prices', 'pydantic', 'rich.table'} & set(sys.modules)\n"
        "print(sorted(heavy - {'rich.table'}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stderr.strip() == "[]"


def test_the_installed_command_answers(tmp_path: Path) -> None:
    """The console script `tokensense` is installed beside the interpreter and runs."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("tokensense")), "version"],
        capture_output=True, text=True, cwd=tmp_path, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("tokensense ")


@pytest.mark.parametrize("part", ["receiver", "dataflow", "exporters", "api"])
def test_each_part_starts_alone(tmp_path: Path, part: str) -> None:
    """A part started by itself says `ready` with its endpoints, stops on SIGTERM, and exits 0."""
    config = tmp_path / "tokensense.yaml"
    config.write_text(
        "receiver: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}\napi: {endpoint: '127.0.0.1:0'}\n"
    )
    process = subprocess.Popen(
        [*TOKENSENSE, part], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tmp_path
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    names = {"receiver": ["grpc", "http"], "api": ["api"]}.get(part, [])
    assert [word.partition("=")[0] for word in line.split()] == ["ready", *names]
    process.terminate()
    assert process.wait(30) == 0
    process.stdout.close()
