import json
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.support.captures import trace_requests
from tests.support.spans import TRACE, a_request, an_otlp_span
from tests.support.waiting import eventually
from tokensense_otel.service.demo.stack import FREE_PORTS, Stack

pytestmark = pytest.mark.e2e

BAD = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": -1}


def test_what_runs_can_explain_itself(tmp_path: Path) -> None:
    """Through `up`, real traffic and bad input are explained by the API as on the command line, and the books agree."""
    bad = a_request(an_otlp_span(BAD, end_ns=7), resource={"service.name": "cart"}).SerializeToString()
    bodies = [request.SerializeToString() for request in trace_requests("langchain_both")]
    with Stack(tmp_path, dict(FREE_PORTS)) as running, httpx2.Client(trust_env=False) as client:
        api = f"http://{running.endpoints['api']}"
        for body in (*bodies, *bodies, bad.replace(b"gpt-4o", b"gpt\xff4o")):
            answer = client.post(
                f"http://{running.endpoints['http']}/v1/traces",
                content=body,
                headers={"content-type": "application/x-protobuf"},
            )
            assert answer.status_code == 200

        def read() -> bool:
            reasons = {row["reason"] for row in client.get(f"{api}/api/v1/accounting").json()["corrections"]}
            return reasons == {"tokens_negative", "time_absurd", "text_not_utf8"}

        eventually(read, what="the corrections of the last request")
        accounting = client.get(f"{api}/api/v1/accounting").json()["accounting"]
        assert accounting["spans"] == sum(accounting.values()) - accounting["spans"]
        shown = client.get(f"{api}/api/v1/explain/{TRACE.hex()}").json()
        (span,) = shown["traces"][0]["spans"]
        assert span["counted"]
        assert set(span["corrections"]) == {"tokens_negative", "time_absurd"}
        command = [sys.executable, "-m", "tokensense_otel.service.main", "explain", TRACE.hex()]
        done = subprocess.run(
            [*command, "--config", str(running.config), "--format", "json"],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert json.loads(done.stdout) == shown
        assert 'tokensense_accounting_spans{outcome="calls",tenant="default"}' in client.get(f"{api}/metrics").text
