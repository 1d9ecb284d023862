"""Right to the token: real exports of real instrumentations, read by us and by the sum that most readers take.

For each folder of `tests/testdata/captures` the fields of its truth (calls, errors and tokens of each model, where
anybody can know them) that came out right. `sum` adds up `gen_ai.usage.*` over all spans.
"""

import asyncio
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.measure import Effort, report
from tests.support.captures import CAPTURES, NAMES, spans_of, trace_requests
from tests.support.naive import summed
from tests.support.tenants import Api, Parcel, Tenant, deliver, stack_for, usage_after
from tests.support.truth import FIELDS, Sums, differences, sums, truth
from tests.support.waiting import eventually
from tests.support.wire import recorded
from tokensense_otel.service.loader import load
from tokensense_otel.service.replay.read import Reader
from tokensense_otel.service.replay.replay import replay

TOKENS = ("input_tokens", "output_tokens")
_MAX_BYTES = 1 << 26

Found = Mapping[str, Mapping[str, Sums]]
"""By folder and request model."""


def captures(effort: Effort) -> None:  # noqa: ARG001 - the whole is small
    """How many folders are right by `replay`, by a running `up`, and by the sum."""
    replayed, sent, added = _replayed(), _sent(), _added()
    report("captures: fields right", "replay / up / sum", "what the sum gets wrong")
    for folder in NAMES:
        count = len(_known(folder, FIELDS))
        rights = [count - len(_wrong(folder, found)) for found in (replayed, sent, added)]
        names = {name for _, name in _wrong(folder, added)}
        wrong = ", ".join(name for name in FIELDS if name in names)
        report(f"  {folder}", " / ".join(map(str, rights)), f"of {count:>2}  {wrong}")
    for name in FIELDS:
        known = sum(len(_known(folder, (name,))) for folder in NAMES)
        rights = [
            known - sum(len(_wrong(folder, found, (name,))) for folder in NAMES) for found in (replayed, sent, added)
        ]
        report(f"  {name}, of all models", " / ".join(map(str, rights)), f"of {known}")
    total = f"of {len(NAMES)} right"
    report("captures, replay", f"{_exact(replayed)} {total}", "all fields")
    report("captures, up over gRPC", f"{_exact(sent)} {total}", "all fields")
    report("captures, sum of gen_ai.usage.*", f"{_exact(added)} {total}", "all fields")
    report("captures, sum of gen_ai.usage.*", f"{_exact(added, TOKENS)} {total}", "input and output alone")


def _replayed() -> Found:
    settings = load(None, {}).settings
    found: dict[str, Mapping[str, Sums]] = {}
    for folder in NAMES:
        document = replay(settings, Reader(lambda *_: None, _MAX_BYTES), [CAPTURES / folder])
        found[folder] = sums(folder, document["usage"])
    return found


def _sent() -> Found:
    tenants = [Tenant(folder, folder) for folder in NAMES]
    parcels = [Parcel("grpc", folder, sent) for folder in NAMES for sent in recorded(folder)]
    count = sum(parcel.sent.spans for parcel in parcels)
    with tempfile.TemporaryDirectory() as place, stack_for(tenants, Path(place)) as running:
        asyncio.run(deliver(running, parcels))
        with Api(running.endpoints["api"]) as api:
            eventually(lambda: api.spans() == count, what="every span read")
        running.stop()  # so that all that the last spans change is written
        rows = usage_after(running)
    return {folder: sums(folder, (row for row in rows if row["tenant"] == folder)) for folder in NAMES}


def _added() -> Found:
    spans = {folder: [span for request in trace_requests(folder) for span in spans_of(request)] for folder in NAMES}
    return {folder: summed(folder, spans[folder]) for folder in NAMES}


def _known(folder: str, names: Iterable[str]) -> list[tuple[str, str]]:
    """The fields of each model that anybody can know."""
    return [(model, name) for model, fields in truth(folder).items() for name in names if fields[name] is not None]


def _wrong(folder: str, found: Found, names: Iterable[str] = tuple(FIELDS)) -> list[tuple[str, str]]:
    here = found[folder]
    return [
        (model, name)
        for model, name in _known(folder, names)
        if here.get(model, {}).get(name) != truth(folder)[model][name]
    ]


def _exact(found: Found, names: Iterable[str] = tuple(FIELDS)) -> int:
    """Folders of which every field is right, and no model too many."""
    return sum(not differences(folder, found[folder], names) for folder in NAMES)
