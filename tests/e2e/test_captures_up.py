"""Real exports into a running `up`: over each transport, in any arrangement and whatever is killed, rows are the truth.

The arrangements are chance; a failure says the seed, and `TOKENSENSE_SEED=… pytest …` does the same again.
"""

import asyncio
import itertools
import json
import os
import random
import signal
import time
from functools import cache
from pathlib import Path

import pytest

from tests.support.captures import NAMES
from tests.support.tenants import Api, Parcel, Tenant, assert_books, deliver, stack_for
from tests.support.truth import ALONE
from tests.support.waiting import eventually
from tests.support.wire import ARRANGEMENTS, Sent, as_of, one_by_one, recorded, shuffled
from tokensense_otel.service.demo.stack import Stack

pytestmark = pytest.mark.e2e

SEED = int(os.environ.get("TOKENSENSE_SEED") or random.SystemRandom().randrange(1 << 32))
KILLS = int(os.environ.get("TOKENSENSE_KILLS", "4"))
TRANSPORTS = ("grpc", "http", "json")
TOLD = f"TOKENSENSE_SEED={SEED}"


@cache
def now_recorded(folder: str) -> list[Sent]:
    return as_of(recorded(folder), time.time_ns())


WAYS = (
    *((arrangement, (transport,)) for arrangement in ("whole", "twice") for transport in TRANSPORTS),
    *((arrangement, TRANSPORTS) for arrangement in ("one_by_one", "in_batches")),
)
"""How requests are arranged, and by which transports: each by itself, or each request by any."""


def test_every_capture_is_exact_over_every_transport(tmp_path: Path) -> None:
    """Over gRPC and HTTP, protobuf and JSON; whole, span by span, in batches, all twice: each time the truth.

    Records and metrics go with the spans and change nothing; where they tell of all calls by themselves, they do.
    """
    chance = random.Random(SEED)
    tenants: list[Tenant] = []
    parcels: list[Parcel] = []

    def send(tenant: Tenant, transports: tuple[str, ...], some: list[Sent]) -> None:
        tenants.append(tenant)
        parcels.extend(Parcel(chance.choice(transports), tenant.name, sent) for sent in some)

    for arrangement, transports in WAYS:
        way = f"{'.'.join(transports)}.{arrangement}"
        for folder in NAMES:
            some = ARRANGEMENTS[arrangement](now_recorded(folder), chance)
            send(Tenant(f"{way}.{folder}", folder), transports, some)
        for (folder, kind), fields in ALONE.items():
            alone = [sent for sent in now_recorded(folder) if sent.signal == kind]
            tenant = Tenant(f"{way}.{folder}.{kind}", folder, fields)
            send(tenant, transports, ARRANGEMENTS[arrangement](alone, chance))
    with stack_for(tenants, tmp_path) as running:
        asyncio.run(deliver(running, parcels))
        assert_books(running, parcels, tenants, TOLD)


def dataflow_of(running: Stack) -> int:
    """Its process id, or 0 while there is none."""
    state = json.loads((running.config.parent / "data" / "run" / "up.json").read_text())
    return int(state["parts"].get("dataflow", 0))


async def kill_at_work(running: Stack, api: Api, chance: random.Random) -> None:
    """Kill the dataflow once it has read on, wherever in an epoch that is, and let it come back."""
    read = api.spans()
    await asyncio.to_thread(eventually, lambda: api.spans() > read, what=f"spans read; {TOLD}")
    await asyncio.sleep(chance.random() * 0.5)
    killed = dataflow_of(running)
    os.kill(killed, signal.SIGKILL)
    back = lambda: dataflow_of(running) not in (0, killed)  # noqa: E731
    await asyncio.to_thread(eventually, back, what=f"the dataflow started again; {TOLD}")


async def deliver_while_it_is_killed(running: Stack, parcels: list[Parcel], chance: random.Random) -> None:
    """One kill during each piece of what is sent, and a last piece in peace."""
    each = len(parcels) // (KILLS + 1)
    cuts = [number * each - chance.randrange(each // 2) for number in range(1, KILLS + 1)]
    with Api(running.endpoints["api"]) as api:
        for begin, end in itertools.pairwise([0, *cuts]):
            async with asyncio.TaskGroup() as both:
                both.create_task(deliver(running, parcels[begin:end]))
                both.create_task(kill_at_work(running, api, chance))
    await deliver(running, parcels[cuts[-1] :])


def test_every_capture_is_exact_though_the_dataflow_is_killed(tmp_path: Path) -> None:
    """All captures at once, a span a request in any order and a fifth of them again, while `kill -9` falls anywhere."""
    chance = random.Random(SEED)
    tenants = [Tenant(folder, folder) for folder in NAMES]
    once = [(name, sent) for name, folder, _ in tenants for sent in one_by_one(now_recorded(folder), chance)]
    again = chance.sample(once, len(once) // 5)
    parcels = [Parcel(chance.choice(TRANSPORTS), name, sent) for name, sent in shuffled(once + again, chance)]
    with stack_for(tenants, tmp_path, dataflow={"epoch_interval_s": 0.5}) as running:
        asyncio.run(deliver_while_it_is_killed(running, parcels, chance))
        with Api(running.endpoints["api"]) as api:
            assert f'tokensense_part_died_total{{part="dataflow"}} {KILLS}.0' in api.metrics()
        assert_books(running, parcels, tenants, TOLD)
