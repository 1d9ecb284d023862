"""Real exports through `replay`: the rows that a user sees are the truth, in whatever files the spans lie."""

import gzip
import json
import os
import random
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.support.captures import CAPTURES, NAMES, spans_of, trace_requests
from tests.support.naive import summed
from tests.support.otlp_json import to_otlp_json
from tests.support.truth import calls_of, differences, sums
from tests.support.wire import ARRANGEMENTS, Sent, recorded
from tokensense_otel.service.config import Settings
from tokensense_otel.service.loader import load
from tokensense_otel.service.replay.read import Reader
from tokensense_otel.service.replay.replay import replay

FORMATS = ("pb", "pb.gz", "json", "jsonl")
SEARCH = (Phase.explicit, Phase.reuse, Phase.generate)
"""A seed does not get simpler by being made smaller."""

SOME = random.Random(int(os.environ.get("TOKENSENSE_SEED", "0"))).sample(NAMES, 3)


@cache
def default_settings() -> Settings:
    return load(None, {}).settings


def replayed(*paths: Path) -> dict[str, Any]:
    """The document of `replay --format json`; nothing but the truth beside a recording may be passed over."""
    passed_over: list[str] = []
    reader = Reader(lambda where, _why: passed_over.append(Path(where).name), 1 << 26)
    document = replay(default_settings(), reader, paths)
    assert set(passed_over) <= {"expected.json"}
    return document


def assert_exact(folder: str, document: dict[str, Any]) -> None:
    assert differences(folder, sums(folder, document["usage"])) == []
    total = document["accounting"]
    assert total["calls"] == calls_of(folder)
    assert total["spans"] + total["records"] + total["metered"] == sum(
        total[became] for became in ("calls", "duplicates", "wrappers", "not_genai", "rejected")
    )


def record(requests: list[Sent], kind: str, folder: Path) -> None:
    """Write requests as recordings of `kind`: a file each, or for `jsonl` a line each."""
    if kind == "jsonl":
        lines = [to_otlp_json(sent.request) for sent in requests]
        (folder / "recorded.jsonl").write_bytes(b"\n".join(lines))
        return
    for number, (signal, request) in enumerate(requests):
        body = to_otlp_json(request) if kind == "json" else request.SerializeToString()
        (folder / f"{number:04}.{signal}.{kind}").write_bytes(gzip.compress(body) if kind.endswith(".gz") else body)


@pytest.mark.parametrize("folder", NAMES)
def test_a_folder_as_it_lies_there_is_exact(folder: str) -> None:
    """Every non-null field of `expected.json` is in the rows, whatever records and metrics lie beside the spans."""
    assert_exact(folder, replayed(CAPTURES / folder))


def test_the_yardstick_tells_right_from_wrong() -> None:
    """Adding up what spans carry is wrong where an agent's span has the usage of the call beneath it again."""
    spans = [span for request in trace_requests("pydantic_ai") for span in spans_of(request)]
    assert differences("pydantic_ai", summed("pydantic_ai", spans)) == [
        "pydantic_ai: claude-sonnet-4-5 calls is 1, found 2",
        "pydantic_ai: claude-sonnet-4-5 input_tokens is 2500, found 5000",
        "pydantic_ai: claude-sonnet-4-5 output_tokens is 70, found 140",
        "pydantic_ai: claude-sonnet-4-5 cache_read is 2000, found 4000",
    ]


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@settings(max_examples=60, deadline=None, phases=SEARCH)
@given(folder=st.sampled_from(NAMES), kind=st.sampled_from(FORMATS), seed=st.integers(0, 2**32))
def test_any_files_are_exact(arrangement: str, folder: str, kind: str, seed: int) -> None:
    """Whole, span by span in any order, in batches, with everything twice; as protobuf or JSON, packed or in lines."""
    with TemporaryDirectory() as place:
        record(ARRANGEMENTS[arrangement](recorded(folder), random.Random(seed)), kind, Path(place))
        assert_exact(folder, replayed(Path(place)))


@pytest.mark.e2e
@pytest.mark.parametrize("folder", SOME)
def test_the_command_says_the_same(folder: str) -> None:
    """`tokensense replay FOLDER --format json` prints that document, alone on standard output."""
    command = [sys.executable, "-m", "tokensense_otel.service.main", "replay", str(CAPTURES / folder)]
    done = subprocess.run([*command, "--format", "json"], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert_exact(folder, document)
    assert document == replayed(CAPTURES / folder)
