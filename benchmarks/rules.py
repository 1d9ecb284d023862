"""What the rules cost: a posting, a key, and a flood of keys that come once."""

import gc
import os
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context

import msgspec

from benchmarks.material import START_NS, calls, postings
from benchmarks.measure import Effort, report, resident, seconds
from tokensense_otel.core.call import Call, Posting, Tokens
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules import RulesConfig, RuleSet, RuleShard

_NOW_NS = START_NS + 3_600 * 1_000_000_000
_BATCH = 100
"""Postings that come to a shard at once: of some thousands a second, spread over teams."""
_EPOCH = 50_000
"""Postings between two snapshots: ten seconds at 5,000 a second."""


def rules(effort: Effort) -> None:
    """Judge postings by all rules, one by one as they come."""
    catalogue = Catalogue.load()
    priced = [
        Posting(1, msgspec.structs.replace(each.call, cost=catalogue.cost(each.call))) for each in postings(effort.size)
    ]
    every = RuleSet(RulesConfig())

    def judge(shard: RuleShard, at_once: int) -> None:
        for first in range(0, effort.size, at_once):
            shard.ingest(priced[first : first + at_once], [], _NOW_NS)

    def taken(rule_set: RuleSet, at_once: int = _BATCH) -> float:
        took = seconds(effort, lambda: RuleShard(rule_set, catalogue), lambda shard: judge(shard, at_once))
        return took / effort.size * 1e6

    report(
        f"rules, {len(every.rules)} of them", f"{taken(every):.1f} µs/posting", "20 teams, 500 prompts, 1,000 traces"
    )
    report("  one posting at a time", f"{taken(every, 1):.1f} µs/posting")
    report("  none of them", f"{taken(_only(every)):.1f} µs/posting")
    report("  the seven of the first release", f"{taken(_only(every, *_FIRST)):.1f} µs/posting")
    count = 4 * effort.size
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        warm, snapshot = other.submit(_keys, count).result()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        cold = other.submit(_restored, snapshot).result()
    report("  memory of a key in use", f"{warm / count:,.0f} bytes", "of CACHE_WASTE, after two calls")
    report("  of a quiet key", f"{cold / count:,.0f} bytes", f"{len(snapshot) / count:,.0f} of them are its snapshot")


_FIRST = (
    *("MODEL_MISUSE", "MODEL_DOWNGRADE", "LONG_PROMPTS", "CACHE_WASTE", "SPIKE", "UNPRICED", "RAM_OVER_PROVISION"),
)


def keys(effort: Effort) -> None:
    """Prompts in a day: `KEYS_ACTIVE` that return again and again, `KEYS_DISTINCT` that come once.

    The full size is 100,000 and ten million (environment variables change that), which takes some minutes.
    """
    small = effort.size < 5_000
    active = int(os.environ.get("KEYS_ACTIVE", "1000" if small else "100000"))
    distinct = int(os.environ.get("KEYS_DISTINCT", "10000" if small else "10000000"))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        run = other.submit(_flood, active, distinct).result()
    report("keys, memory of the process", f"{run['grown'] / 1e6:,.0f} MB more", f"{run['peak'] / 1e6:,.0f} MB at most")
    report(
        "  prompts followed", f"{run['followed']:,} of {active:,}", f"{run['cold']:,} as bytes, {distinct:,} came once"
    )
    report("  found of those that are wasteful", f"{run['found']:,} of {run['wasteful']:,}", f"{run['false']} others")
    report("  a posting", f"{run['us']:.1f} µs", f"the snapshot has {run['snapshot'] / 1e6:,.1f} MB")
    if find_spec("datasketches") is not None:
        _sketch(active, distinct)


def _only(every: RuleSet, *names: str) -> RuleSet:
    return RuleSet(RulesConfig.model_validate({name: {"enabled": name in names} for name in every.rules}))


def _prompts(count: int) -> list[Call]:
    """Priced calls of one model and team, each with its own prompt."""
    catalogue = Catalogue.load()
    first = msgspec.structs.replace(next(iter(calls(1))), tokens=Tokens(1_000, 150))
    call = msgspec.structs.replace(first, cost=catalogue.cost(first))
    return [_prompt(call, number, number) for number in range(count)]


def _prompt(call: Call, number: int, prompt: int) -> Call:
    return msgspec.structs.replace(
        call,
        trace_id=number.to_bytes(16),
        span_id=number.to_bytes(8),
        end_ns=START_NS + number * 1_000,
        prompt_hash=f"{prompt * 0x9E3779B97F4A7C15 % (1 << 128):032x}",
    )


def _keys(count: int) -> tuple[int, bytes]:
    """The memory that so many keys of CACHE_WASTE take while they are in use, and their snapshot."""
    shard = _of_prompts(2 * count)
    some = _prompts(count)
    before = resident()
    for _ in range(2):
        shard.ingest([Posting(1, call) for call in some], [], _NOW_NS)
    return resident() - before, shard.snapshot()


def _restored(snapshot: bytes) -> int:
    """The memory that a fresh process takes for them."""
    rules, catalogue = _prompt_rules(1_000_000), Catalogue.load()
    before = resident()
    shard = RuleShard.restore(rules, catalogue, snapshot)
    return resident() - before if shard else 0


def _prompt_rules(max_keys: int) -> RuleSet:
    """CACHE_WASTE alone."""
    every = RuleSet(RulesConfig())
    return RuleSet(
        RulesConfig.model_validate(
            {name: {"enabled": name == "CACHE_WASTE", "max_keys": max_keys} for name in every.rules}
        )
    )


def _of_prompts(max_keys: int) -> RuleShard:
    return RuleShard(_prompt_rules(max_keys), Catalogue.load())


def _flood(active: int, distinct: int) -> dict[str, float]:
    """A day of one shard. Each active prompt comes ten times, one in twenty of them sixty times: those are wasteful."""
    shard = _of_prompts(2 * active)
    call = _prompts(1)[0]
    wasteful = {f"{prompt * 0x9E3779B97F4A7C15 % (1 << 128):032x}" for prompt in range(0, active, 20)}
    returning = [prompt for prompt in range(active) for _ in range(60 if prompt % 20 == 0 else 10)]
    order = _spread(returning)
    every_nth = max(1, distinct // len(order))
    gc.collect()
    gc.freeze()
    before, peak, spent, snapshot, number = resident(), 0, 0.0, b"", 0
    found: set[str] = set()
    fresh = iter(range(active, active + distinct))
    batch: list[Posting] = []

    def take() -> None:
        nonlocal spent, peak, snapshot
        began = time.process_time()
        found.update(insight.scope["prompt_hash"] for insight in shard.ingest(batch, [], batch[-1].call.end_ns))
        spent += time.process_time() - began
        batch.clear()
        snapshot = shard.snapshot()
        peak = max(peak, resident(collect=False))

    for prompt in order:
        for one in (prompt, *(next(fresh, None) for _ in range(every_nth))):
            if one is not None:
                number += 1
                batch.append(Posting(1, _prompt(call, number, one)))
        if len(batch) >= _EPOCH:
            take()
    for one in fresh:
        number += 1
        batch.append(Posting(1, _prompt(call, number, one)))
        if len(batch) >= _EPOCH:
            take()
    if batch:
        take()
    sizes = shard.sizes()["CACHE_WASTE"]
    return {
        "grown": resident() - before,
        "peak": peak,
        "followed": sizes.keys,
        "cold": sizes.cold,
        "found": len(found & wasteful),
        "wasteful": len(wasteful),
        "false": len(found - wasteful),
        "us": spent / number * 1e6,
        "snapshot": len(snapshot),
    }


def _spread(returning: list[int]) -> list[int]:
    """The same in an order that spreads each prompt over the day, and is the same every time."""
    size = len(returning)
    step = next(step for step in range(int(size * 0.618) | 1, 2 * size + 3, 2) if _coprime(step, size))
    return [returning[number * step % size] for number in range(size)]


def _coprime(one: int, other: int) -> bool:
    while other:
        one, other = other, one % other
    return one == 1


def _sketch(active: int, distinct: int) -> None:
    """The same stream through a frequent-items sketch that may not err, of the size that as much memory gives."""
    from datasketches import (  # type: ignore[import-not-found,unused-ignore]
        frequent_items_error_type,
        frequent_strings_sketch,
    )

    for lg_size in (17, 20):
        sketch = frequent_strings_sketch(lg_size)
        returning = _spread([prompt for prompt in range(active) for _ in range(60 if prompt % 20 == 0 else 10)])
        every_nth = max(1, distinct // len(returning))
        fresh = active
        before, began, updates = resident(), time.process_time(), 0
        for prompt in returning:
            sketch.update(str(prompt))
            for _ in range(min(every_nth, active + distinct - fresh)):
                sketch.update(str(fresh))
                fresh += 1
                updates += 1
            updates += 1
        taken = (time.process_time() - began) / updates * 1e6
        items = sketch.get_frequent_items(frequent_items_error_type.NO_FALSE_POSITIVES, 49)
        found = {int(item[0]) for item in items}
        true = sum(prompt < active and prompt % 20 == 0 for prompt in found)
        report(
            f"  datasketches frequent items, 2^{lg_size}",
            f"{true:,} of {-(-active // 20):,}",
            f"{len(found) - true} others; {taken:.1f} µs, {(resident() - before) / 1e6:,.0f} MB, takes nothing back",
        )
