"""Rules that change under a running `up`: taken without a restart, kept over a crash, refused when they are wrong."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

from tests.e2e.test_up import cli, counted, parts, send_calls, stack
from tests.support.waiting import eventually
from tokensense_otel.dataflow.rules.registry import RULES
from tokensense_otel.service.demo.stack import Stack

pytestmark = pytest.mark.e2e


def rules(above: int) -> dict[str, Any]:
    many = {"name": "MANY", "metric": "calls", "window": "1h", "compare": {"above": above}}
    return {name: {"enabled": False} for name in RULES} | {"custom": [many]}


def rewrite(running: Stack, change: Any) -> None:
    settings = yaml.safe_load(running.config.read_text())
    settings["rules"] = change
    unfinished = running.config.with_suffix(".new")
    unfinished.write_text(yaml.safe_dump(settings))
    unfinished.replace(running.config)
    os.kill(parts(running)["dataflow"], signal.SIGHUP)


def said(running: Stack, event: str) -> int:
    return running.log.read_text().count(event)


def send(running: Stack, count: int) -> None:
    send_calls(OTLPSpanExporter(endpoint=running.endpoints["grpc"], insecure=True), count)


def values(running: Stack) -> list[int]:
    return [insight["evidence"]["observed"]["value"] for insight in cli(running, "insights")["insights"]]


def test_changed_rules_are_taken_while_it_runs(tmp_path: Path) -> None:
    """Counts stay, the new threshold holds, a wrong file is refused, a killed dataflow begins with the file."""
    with stack(tmp_path, rules=rules(1_000), dataflow={"attribution_wait_s": 0, "epoch_interval_s": 1}) as running:
        send(running, 5)
        eventually(lambda: counted(running) == 5, what="5 calls counted")
        rewrite(running, rules(5))
        eventually(lambda: said(running, "rules_reloaded") == 1, what="the rules taken")
        send(running, 1)
        eventually(lambda: values(running) == [6], what="six calls, five of them from before the change")

        rewrite(running, {"SPYKE": {}})
        eventually(lambda: said(running, "rules_refused") == 1, what="the rules refused")
        assert "rules.SPYKE: there is no such key; write SPIKE" in running.log.read_text()

        rewrite(running, rules(7))
        eventually(lambda: said(running, "rules_reloaded") == 2, what="the rules taken")
        before = parts(running)["dataflow"]
        os.kill(before, signal.SIGKILL)
        eventually(lambda: parts(running).get("dataflow", before) != before, what="dataflow started again")
        send(running, 8)
        # The finding of six calls is still open, and is told again when they are twice as many.
        eventually(lambda: sorted(values(running)) == [6, 12], what="an update of the same finding")
        assert running.stop() == 0
