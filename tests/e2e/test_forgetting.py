"""What people wrote leaves the disk once it is accounted."""

from pathlib import Path

import httpx2
import pytest

from tests.support.traffic import a_request, a_span, chat
from tests.support.waiting import eventually
from tokensense_otel.service.demo.stack import FREE_PORTS, Stack

pytestmark = pytest.mark.e2e

SECRET = "the merger is on Tuesday"


def test_a_prompt_is_nowhere_in_the_folder_after_it_was_accounted(tmp_path: Path) -> None:
    """With nothing more coming in, a prompt is gone from every file within `segment_age_s` and a few epochs."""
    attributes = chat() | {"gen_ai.input.messages": f'[{{"role": "user", "content": "{SECRET}"}}]'}
    body = a_request([a_span(1, attributes, trace=1)], {"service.name": "cart"}).SerializeToString()
    settings = {"log": {"partitions": 2, "segment_age_s": 1.0}, "dataflow": {"epoch_interval_s": 0.2}}

    with Stack(tmp_path, dict(FREE_PORTS) | settings) as running:

        def holders() -> list[str]:
            found: list[str] = []
            for path in (tmp_path / "data").rglob("*"):
                try:
                    if path.is_file() and SECRET.encode() in path.read_bytes():
                        found.append(str(path.relative_to(tmp_path)))
                except FileNotFoundError:
                    continue
            return found

        answer = httpx2.post(
            f"http://{running.endpoints['http']}/v1/traces",
            content=body,
            headers={"content-type": "application/x-protobuf"},
            trust_env=False,
        )
        assert answer.status_code == 200
        assert [name for name in holders() if not name.startswith("data/log/")] == []
        eventually(lambda: not holders(), what="the prompt gone from every file")
        accounting = httpx2.get(f"http://{running.endpoints['api']}/api/v1/accounting", trust_env=False).json()
        assert accounting["accounting"]["calls"] == 1
        assert running.stop() == 0
