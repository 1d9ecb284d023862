"""The proof of one finding: its insight with all evidence, its life, what mutes it, what was delivered of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Engine

from tokensense_otel.core.insight import rfc3339, to_dict
from tokensense_otel.core.mutes import matches
from tokensense_otel.service.muting import NoSuchThing, to_document
from tokensense_otel.service.times import parse_time
from tokensense_otel.store.insights import read_episode
from tokensense_otel.store.mutes import Mutes
from tokensense_otel.store.outbox import Delivery, Outbox


def make_proof(engine: Engine, some_id: str, now_ns: int) -> dict[str, Any]:
    """What is on record of an insight, or of the newest one of an episode.

    Raises:
        NoSuchThing: for an id that is of neither.
    """
    told = read_episode(engine, some_id)
    if not told:
        raise NoSuchThing(f"there is no insight or episode {some_id!r}; `tokensense insights` lists them")
    insight = next((each for each in told if each.id == some_id), told[-1])
    begun_ns = parse_time(told[0].started_at, now_ns)
    over_ns = parse_time(told[-1].resolved_at, now_ns) if told[-1].resolved_at else now_ns
    about = [
        mute
        for mute in Mutes(engine).listing()
        if mute.starts_ns <= over_ns and mute.ends_ns > begun_ns and matches(mute.matchers, insight)
    ]
    outbox = Outbox(engine)
    return {
        "insight": to_dict(insight),
        "life": [
            {"id": each.id, "status": each.status.value, "detected_at": each.detected_at, "summary": each.summary}
            for each in told
        ],
        "mutes": [to_document(mute, now_ns) for mute in about],
        "deliveries": [_delivery(each, made) for each in told for made in outbox.show(each.id)],
    }


def to_text(proof: Mapping[str, Any]) -> Iterator[str]:
    """The proof in lines for a person."""
    insight = proof["insight"]
    yield f"{insight['title']}"
    yield f"{insight['rule']} · {insight['severity']} · {insight['status']} · {insight['episode_id']}"
    yield ""
    yield insight["summary"]
    yield f"Do: {insight['suggested_fix']}"
    yield ""
    scope = {"tenant": insight["tenant"], "project": insight["project"], **insight["scope"]}
    yield "whose     " + ", ".join(f"{name} {value}" for name, value in scope.items())
    yield f"since     {insight['started_at']}"
    yield f"detected  {insight['detected_at']}"
    if insight["resolved_at"]:
        yield f"resolved  {insight['resolved_at']}"
    savings = insight["estimated_monthly_savings_usd"]
    yield f"savings   {'unknown' if savings is None else f'${savings} of the last 30 days'}"
    yield ""
    yield "evidence"
    yield from _lines(insight["evidence"], 1)
    yield ""
    yield "life"
    yield from (f"  {each['detected_at']}  {each['status']:<8}  {each['summary']}" for each in proof["life"])
    if proof["mutes"]:
        yield ""
        yield "muted"
        for mute in proof["mutes"]:
            span = f"{mute['starts_at']} to {mute['ends_at']}"
            yield f"  {mute['id']} ({mute['state']}) by {mute['by']}, {span}: {mute['reason']}"
    if proof["deliveries"]:
        yield ""
        yield "delivered"
        for each in proof["deliveries"]:
            why = f"  {each['reason']}" if each["reason"] else ""
            yield f"  {each['exporter']}  {each['status']:<8}  {each['state']}  {each['at']}{why}"


def _delivery(insight: Any, made: Delivery) -> dict[str, Any]:
    return {
        "exporter": made.exporter,
        "insight_id": made.insight_id,
        "status": insight.status.value,
        "state": made.state.value,
        "attempts": made.attempts,
        "at": rfc3339(made.ended_ns or made.queued_ns),
        "reason": made.reason,
    }


def _lines(value: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Names and values, nested ones indented: numbers as they are, so that they can be checked."""
    indent = "  " * depth
    width = max((len(name) for name in value), default=0)
    for name, each in value.items():
        if isinstance(each, Mapping):
            yield f"{indent}{name}"
            yield from _lines(each, depth + 1)
        elif isinstance(each, list) and each and all(isinstance(item, Mapping) for item in each):
            yield f"{indent}{name}"
            for item in each:
                yield f"{indent}  " + ", ".join(f"{key} {part}" for key, part in item.items())
        else:
            shown = ", ".join(str(item) for item in each) if isinstance(each, list) else each
            yield f"{indent}{name:<{width}}  {'–' if shown is None or shown == '' else shown}"
