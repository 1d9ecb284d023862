"""Killed at any moment, delivery goes on where it was: nothing is lost, and every copy carries its id."""

import asyncio
import json
import random
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.unit.exporters.support import put, store, story, until
from tokensense_otel.exporters.testing import FaultServer
from tokensense_otel.store.outbox import Outbox, State

EPISODES, KILLS = 300, 8


@pytest.mark.e2e
def test_kill_9_loses_nothing(tmp_path: Path) -> None:
    """600 deliveries, 8 SIGKILLs at random moments: all arrive, each lane in order, at most a copy for each kill."""
    engine = store(tmp_path)
    outbox = Outbox(engine)
    outbox.register(["ops"])
    told = [story(f"ep_{number}") for number in range(EPISODES)]
    put(engine, *(insight for episode in told for insight in episode))
    chance = random.Random(7)
    with FaultServer() as server:
        command = [sys.executable, "-m", "tests.unit.exporters.child", str(tmp_path), server.url("/hook")]
        for kill in range(KILLS + 1):
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
                try:
                    assert process.stdout is not None
                    assert process.stdout.readline() == b"ready\n"
                    if kill < KILLS:
                        server.wait_for(len(server.requests) + chance.randrange(10, 60))
                    else:
                        asyncio.run(until(lambda: outbox.waiting(["ops"]) == {"ops": 0}, timeout_s=60))
                finally:
                    process.kill()
        copies = Counter(request.headers["webhook-id"] for request in server.requests)
        order: dict[str, list[str]] = defaultdict(list)
        for request in server.requests:
            insight = json.loads(request.body)["data"]
            if insight["status"] not in order[insight["episode_id"]]:
                order[insight["episode_id"]].append(insight["status"])
    assert set(copies) == {insight.id for episode in told for insight in episode}
    assert set(map(tuple, order.values())) == {("firing", "resolved")}
    assert max(copies.values()) <= 1 + KILLS
    assert sum(copies.values()) <= 2 * EPISODES + 8 * KILLS  # what can be under way at once, at each kill
    assert {delivery.state for delivery in outbox.listing(limit=10_000)} == {State.DELIVERED}
    assert all(books.balanced for books in outbox.audit())
