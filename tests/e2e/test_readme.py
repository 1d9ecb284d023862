"""README's words for a new user, carried out."""

import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.support.markdown import blocks, page, without_figures
from tests.support.provider import provider
from tests.support.waiting import eventually
from tokensense_otel.service.demo.stack import FREE_PORTS, Stack

pytestmark = pytest.mark.e2e

README = page("README.md")


def exported(name: str) -> str:
    """What README tells to export under this name."""
    lines = [line for block in blocks(README, "sh") for line in block.splitlines()]
    return next(line.partition("=")[2] for line in lines if line.startswith(f"export {name}="))


def test_a_service_connected_as_shown_is_counted_for_its_team(tmp_path: Path) -> None:
    """The program and the environment of "Connect a service" make one counted call of the team that they name."""
    (program,) = [block for block in blocks(README, "python") if block.startswith("from openai")]
    with Stack(tmp_path, FREE_PORTS) as running, provider() as base_url:
        assert exported("OTEL_EXPORTER_OTLP_ENDPOINT") == "http://127.0.0.1:4317"
        env = os.environ | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{running.endpoints['grpc']}",
            "OTEL_RESOURCE_ATTRIBUTES": exported("OTEL_RESOURCE_ATTRIBUTES"),
            "OPENAI_BASE_URL": base_url,
            "OPENAI_API_KEY": "sk-of-nobody",
        }
        done = subprocess.run(
            [sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stdout == "yes\n"
        url = f"http://{running.endpoints['api']}/api/v1/usage?group_by=team,service"

        def rows() -> list[dict[str, object]]:
            found: list[dict[str, object]] = httpx2.get(url, trust_env=False).json()["usage"]
            return found

        eventually(lambda: bool(rows()), what="the call in the books")
        (row,) = rows()
        assert (row["team"], row["service"], row["calls"]) == ("checkout", "checkout-assistant", 1)


def test_up_prints_what_is_shown(tmp_path: Path) -> None:
    """`tokensense up` says README's line, on ports that it was given."""
    (shown,) = blocks(README, "text")[1].splitlines()
    config = tmp_path / "tokensense.yaml"
    config.write_text(f"data_dir: {tmp_path}/data\nreceiver: {FREE_PORTS['receiver']}\napi: {FREE_PORTS['api']}\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "tokensense_otel.service.main", "up", "--config", str(config)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert without_figures(process.stdout.readline()) == without_figures(shown)
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0
