"""A real Collector that balances over two installations by trace id: every call is on the books of one of them."""

import contextlib
import json
import random
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.support.collector import BINARY, WHY_SKIPPED
from tests.support.otlp import OtlpSender
from tests.support.processes import free_ports, peer
from tests.support.traffic import a_request, a_span, chat
from tests.support.waiting import eventually
from tokensense_otel.service.demo.api import Api
from tokensense_otel.service.demo.stack import FREE_PORTS, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not BINARY, reason=WHY_SKIPPED)]

TRACES = 60


def configuration(port: int, endpoints: list[str]) -> str:
    """OTLP in, and out to two OTLP endpoints by trace id."""
    return yaml.safe_dump(
        {
            "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{port}"}}}},
            "exporters": {
                "loadbalancing": {
                    "routing_key": "traceID",
                    "protocol": {"otlp": {"tls": {"insecure": True}}},
                    "resolver": {"static": {"hostnames": endpoints}},
                }
            },
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["loadbalancing"]}},
            },
        }
    )


def accounting(endpoint: str) -> dict[str, int]:
    with urllib.request.urlopen(f"http://{endpoint}/api/v1/accounting", timeout=5) as answer:
        return dict(json.load(answer)["accounting"])


def test_balancing_by_trace_keeps_totals_exact(tmp_path: Path) -> None:
    """Spans of one call, each in a request of its own and in any order, meet in one installation: none is doubled."""
    told = [(trace, number) for trace in range(1, TRACES + 1) for number in (1, 2)]
    random.Random(1).shuffle(told)
    with contextlib.ExitStack() as running:
        stacks = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            stacks.append(running.enter_context(Stack(tmp_path / name, FREE_PORTS)))
        (port,) = free_ports(1)
        config = tmp_path / "otelcol.yaml"
        config.write_text(configuration(port, [stack.endpoints["grpc"] for stack in stacks]))
        running.enter_context(
            peer([BINARY, "--config", str(config)], ports=[port], log=tmp_path / "otelcol.log", env={})
        )
        sender = OtlpSender(f"127.0.0.1:{port}")
        for trace, number in told:
            span = a_span(number, chat(input_tokens=100 + trace), trace=trace, parent=number - 1)
            request = a_request([span], {"service.name": "shop", "tokensense.team": "checkout"})
            request.resource_spans[0].scope_spans[0].scope.name = "langchain" if number == 1 else "openai"
            sender.send(request)
        sender.close()
        apis = [Api(stack.endpoints["api"]) for stack in stacks]

        def spans() -> list[int]:
            return [accounting(stack.endpoints["api"])["spans"] for stack in stacks]

        eventually(lambda: sum(spans()) == 2 * TRACES, what="every span in one of the two")
        calls = [sum(team.calls for team in api.usage()) for api in apis]
    assert sum(calls) == TRACES
    assert min(calls) > 0
