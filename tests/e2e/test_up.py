import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.util.types import AttributeValue

from tests.support.processes import listens
from tests.support.waiting import eventually
from tokensense_otel.service.demo.stack import FREE_PORTS, Stack

pytestmark = pytest.mark.e2e

TOKENSENSE = [sys.executable, "-m", "tokensense_otel.service.main"]


@contextmanager
def stack(folder: Path, **settings: Any) -> Iterator[Stack]:
    with Stack(folder, dict(FREE_PORTS) | settings) as running:
        yield running


def send_calls(exporter: SpanExporter, count: int, *, model: str = "gpt-4o") -> None:
    """Report `count` model calls of 1,000 tokens in and 50 out, each acknowledged before the next."""
    provider = TracerProvider(resource=Resource.create({"service.name": "cart", "tokensense.team": "checkout"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    attributes: dict[str, AttributeValue] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 50,
    }
    for _ in range(count):
        with tracer.start_as_current_span(f"chat {model}", attributes=attributes):
            pass
    provider.shutdown()


def counted(running: Stack) -> int:
    """Calls that the API counts; none while it is being started again."""
    try:
        rows = httpx2.get(f"http://{running.endpoints['api']}/api/v1/usage?group_by=team", trust_env=False).json()
    except httpx2.HTTPError:
        return -1
    return sum(row["calls"] for row in rows["usage"])


def cli(running: Stack, *arguments: str) -> Any:
    """What a command prints with `--format json`: one document, nothing else."""
    done = run(*arguments, "--config", str(running.config), "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def parts(running: Stack) -> dict[str, int]:
    try:
        state = json.loads((running.config.parent / "data" / "run" / "up.json").read_text())
    except FileNotFoundError:
        return {}
    return dict(state["parts"])


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that ended but whose parent has not looked yet is a zombie.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TOKENSENSE, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_calls_come_in_and_are_read_everywhere(tmp_path: Path) -> None:
    """Calls over gRPC and HTTP are counted once, priced, judged, and the same in the API, the CLI and the metrics."""
    with stack(tmp_path) as running:
        send_calls(GrpcExporter(endpoint=running.endpoints["grpc"], insecure=True), 15)
        send_calls(HttpExporter(endpoint=f"http://{running.endpoints['http']}/v1/traces"), 10)
        eventually(lambda: counted(running) == 25, what="25 calls counted")
        (row,) = cli(running, "usage", "--group-by", "team,model")["usage"]
        assert (row["team"], row["model"], row["calls"]) == ("checkout", "gpt-4o", 25)
        assert (row["input_tokens"], row["output_tokens"]) == (25_000, 1_250)
        # gpt-4o: $2.50 a million in, $10 a million out: 25 × (0.0025 + 0.0005).
        assert row["cost_usd"] == "0.075"
        eventually(lambda: bool(cli(running, "insights")["insights"]), what="MODEL_MISUSE after 20 calls")
        (insight,) = cli(running, "insights")["insights"]
        assert (insight["rule"], insight["scope"]) == ("MODEL_MISUSE", {"team": "checkout", "model": "gpt-4o"})
        api = f"http://{running.endpoints['api']}"
        assert httpx2.get(f"{api}/api/v1/insights", trust_env=False).json() == {"insights": [insight]}
        assert httpx2.get(f"{api}/readyz", trust_env=False).status_code == 200
        metrics = httpx2.get(f"{api}/metrics", trust_env=False).text
        assert 'tokensense_receiver_accepted_items_total{signal="traces",transport="grpc"} 15.0' in metrics
        assert 'tokensense_insights_recorded_total{rule="MODEL_MISUSE",status="firing"} 1.0' in metrics
        eventually(
            lambda: [book["delivered"] for book in cli(running, "outbox", "audit")["exporters"]] == [1],
            what="the insight delivered to the console",
        )
        assert running.stop() == 0


def test_a_stop_loses_nothing_that_was_accepted(tmp_path: Path) -> None:
    """SIGTERM right after the last acknowledgement: exit 0, and every call is in the books afterwards."""
    with stack(tmp_path) as running:
        send_calls(GrpcExporter(endpoint=running.endpoints["grpc"], insecure=True), 40)
        children = parts(running).values()
        assert running.stop() == 0
        assert not any(alive(pid) for pid in children)
        (row,) = cli(running, "usage")["usage"]
        assert row["calls"] == 40


@pytest.mark.parametrize("part", ["receiver", "dataflow", "exporters", "api"])
def test_a_killed_part_comes_back_where_it_was(tmp_path: Path, part: str) -> None:
    """A part killed with SIGKILL is started again on the same ports, and nothing that was accepted is lost."""
    with stack(tmp_path) as running:
        send_calls(GrpcExporter(endpoint=running.endpoints["grpc"], insecure=True), 5)
        before = parts(running)
        os.kill(before[part], signal.SIGKILL)
        eventually(lambda: parts(running).get(part, before[part]) != before[part], what=f"{part} started again")
        port = int(running.endpoints["grpc"].rpartition(":")[2])
        eventually(lambda: listens(port), what="the receiver listening on its port")
        send_calls(GrpcExporter(endpoint=running.endpoints["grpc"], insecure=True), 5)
        eventually(lambda: counted(running) == 10, what="10 calls counted")
        metrics = httpx2.get(f"http://{running.endpoints['api']}/metrics", trust_env=False).text
        assert f'tokensense_part_died_total{{part="{part}"}} 1.0' in metrics
        others = {name: pid for name, pid in parts(running).items() if name != part}
        assert others == {name: pid for name, pid in before.items() if name != part}
        assert running.stop() == 0


def test_parts_end_with_their_supervisor_and_a_new_one_takes_over(tmp_path: Path) -> None:
    """Kill -9 of `up` leaves no part behind; the next `up` waits for them and counts on where they stopped."""
    first = Stack(tmp_path, FREE_PORTS).__enter__()
    send_calls(GrpcExporter(endpoint=first.endpoints["grpc"], insecure=True), 5)
    orphans = parts(first).values()
    os.kill(first.pid, signal.SIGKILL)
    first.stop()
    with stack(tmp_path) as second:
        assert not any(alive(pid) for pid in orphans)
        send_calls(GrpcExporter(endpoint=second.endpoints["grpc"], insecure=True), 5)
        eventually(lambda: counted(second) == 10, what="10 calls counted")


def test_a_second_up_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    """A second `up`, or a part by itself, on a folder in use is one line and exit 2; the first goes on."""
    with stack(tmp_path) as running:
        for command in ("up", "dataflow"):
            done = run(command, "--config", str(running.config))
            assert (done.returncode, done.stdout) == (2, "")
            line = (
                f"data_dir: `tokensense {command}` already runs on {tmp_path}/data; stop it, or write another data_dir"
            )
            assert done.stderr.splitlines() == [line]
        assert counted(running) == 0
        document = cli(running, "doctor")
        assert document["ok"] is True
        assert next(check for check in document["checks"] if check["check"] == "up")["detail"].startswith("pid ")


def test_a_taken_port_ends_up_with_one_line(tmp_path: Path) -> None:
    """A part that cannot be started as configured ends the whole with exit 2 and says why in one line."""
    with stack(tmp_path) as running:
        config = tmp_path / "second.yaml"
        config.write_text(
            json.dumps({**FREE_PORTS, "data_dir": str(tmp_path / "b"), "api": {"endpoint": running.endpoints["api"]}})
        )
        done = run("up", "--config", str(config))
        assert (done.returncode, done.stdout) == (2, "")
        lines = [line for line in done.stderr.splitlines() if not line.startswith("20")]  # what is not a log line
        assert len(lines) == 1
        assert lines[0].startswith(
            f"api.endpoint: cannot listen on {running.endpoints['api']} (Address already in use)"
        )


def test_ctrl_c_in_a_terminal_stops_in_order(tmp_path: Path) -> None:
    """SIGINT to the whole foreground process group ends `up` with exit 0, each part after its own clean stop."""
    config = tmp_path / "tokensense.yaml"
    config.write_text(json.dumps({**FREE_PORTS, "data_dir": str(tmp_path / "data")}))
    log = tmp_path / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*TOKENSENSE, "up", "--config", str(config)],
            stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
        )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("ready  grpc=127.0.0.1:")
    assert [word.partition("=")[0] for word in line.split()] == ["ready", "grpc", "http", "api"]
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 0
    process.stdout.close()
    said = log.read_text()
    assert "Traceback" not in said
    assert said.index("receiver_stopped") < said.index("dataflow_stopped") < said.index("] stopped")
