"""Many captures in one running `up`, each in the books of a tenant of its own."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from tests.support.senders import send_all, senders
from tests.support.truth import FIELDS, calls_of, differences, sums
from tests.support.waiting import eventually
from tests.support.wire import Sent
from tokensense_otel.service.demo.stack import FREE_PORTS, Stack

Rows = list[dict[str, Any]]


class Tenant(NamedTuple):
    """Whose books are those of one capture: ids are the same in each arrangement of it."""

    name: str
    folder: str
    fields: tuple[str, ...] = tuple(FIELDS)
    """What can be known from what is sent."""


class Parcel(NamedTuple):
    """A request for a tenant, by a transport."""

    transport: str
    tenant: str
    sent: Sent


class Api:
    """What a running `up` answers, over one connection. A context manager."""

    def __init__(self, endpoint: str) -> None:
        self._client = httpx2.Client(base_url=f"http://{endpoint}", trust_env=False, timeout=30.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def usage(self) -> Rows:
        rows: Rows = self._client.get("/api/v1/usage").json()["usage"]
        return rows

    def metrics(self) -> str:
        return self._client.get("/metrics").text

    def accounting(self) -> dict[str, dict[str, int]]:
        """What became of spans, by tenant, as `/metrics` tells."""
        found: dict[str, dict[str, int]] = {}
        for family in text_string_to_metric_families(self.metrics()):
            if family.name == "tokensense_accounting_spans":
                for sample in family.samples:
                    found.setdefault(sample.labels["tenant"], {})[sample.labels["outcome"]] = int(sample.value)
        return found

    def spans(self) -> int:
        """How many were read, of all tenants."""
        return int(self._client.get("/api/v1/accounting").json()["accounting"]["spans"])


@contextmanager
def stack_for(tenants: Iterable[Tenant], place: Path, **settings: Any) -> Iterator[Stack]:
    """`up` with a key for each tenant."""
    keys = [{"name": each.name, "tenant": each.name, "key": f"key-{each.name}"} for each in tenants]
    receiver = {**FREE_PORTS["receiver"], "auth": {"required": True, "keys": keys}}
    with Stack(place, {**FREE_PORTS, **settings, "receiver": receiver}) as running:
        yield running


async def deliver(running: Stack, parcels: Iterable[Parcel]) -> None:
    """Send each in this order, some at once, and come back when all are acknowledged."""
    async with senders(running.endpoints["grpc"], running.endpoints["http"]) as by:
        await send_all((by[transport], sent, f"key-{tenant}") for transport, tenant, sent in parcels)


def spans_by_tenant(parcels: Iterable[Parcel]) -> dict[str, int]:
    found: dict[str, int] = {}
    for _, tenant, sent in parcels:
        found[tenant] = found.get(tenant, 0) + sent.spans
    return found


def usage_after(stopped: Stack) -> Rows:
    """What `tokensense usage` says of the store that is left behind."""
    command = [sys.executable, "-m", "tokensense_otel.service.main", "usage", "--config", str(stopped.config)]
    done = subprocess.run([*command, "--format", "json"], capture_output=True, text=True, timeout=60, check=True)
    rows: Rows = json.loads(done.stdout)["usage"]
    return rows


def wrong(rows: Rows, tenants: Iterable[Tenant]) -> list[str]:
    """Every field of every tenant that is not the truth."""
    by_tenant: dict[str, Rows] = {}
    for row in rows:
        by_tenant.setdefault(row["tenant"], []).append(row)
    return [
        f"{name}: {difference}"
        for name, folder, fields in tenants
        for difference in differences(folder, sums(folder, by_tenant.get(name, [])), fields)
    ]


def unbalanced(accounting: Mapping[str, Mapping[str, int]], tenants: Iterable[Tenant]) -> list[str]:
    """Every tenant whose calls are not those of its capture, or with a span of which nothing became."""
    found = []
    for name, folder, _ in tenants:
        total = accounting[name]
        read = total["spans"] + total["records"] + total["metered"]
        became = sum(total[word] for word in ("calls", "duplicates", "wrappers", "not_genai", "rejected"))
        if (total["calls"], became) != (calls_of(folder), read):
            found.append(f"{name}: {dict(total)}")
    return found


def assert_books(running: Stack, parcels: list[Parcel], tenants: list[Tenant], told: str) -> None:
    """Once all is read, the API and then, after a stop, the command line say the truth of every tenant.

    `told` is what a failure should tell besides.
    """
    sent = spans_by_tenant(parcels)
    with Api(running.endpoints["api"]) as api:
        eventually(lambda: api.spans() == sum(sent.values()), within_s=60, what=f"every span read; {told}")
        # What the last spans change in other stages may come a moment later, with the next write.
        with contextlib.suppress(AssertionError):
            eventually(lambda: not wrong(api.usage(), tenants), within_s=10)
        assert wrong(api.usage(), tenants) == [], told
        accounting = api.accounting()
        assert {name: outcomes["spans"] for name, outcomes in accounting.items()} == sent, told
        assert unbalanced(accounting, tenants) == [], told
    assert running.stop() == 0
    assert wrong(usage_after(running), tenants) == [], told
