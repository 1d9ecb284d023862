"""Silence, acknowledge, end: what the CLI and the API ask for, checked here and said in the same words."""

from typing import Any

import msgspec
from sqlalchemy import Engine

from tokensense_otel.core.insight import Status, rfc3339
from tokensense_otel.core.mutes import MOST_CHARS, Matcher, Mute, MuteKind, parse_matcher
from tokensense_otel.service.times import parse_future
from tokensense_otel.store.insights import read_episode
from tokensense_otel.store.mutes import Mutes

MOST_MATCHERS = 20


class NoSuchThing(LookupError):
    """There is no such insight, episode or silence."""


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked for. Times are RFC 3339, Unix seconds, or how long from now (`2h`)."""

    by: str = ""
    reason: str = ""
    until: str = ""
    starts: str = ""
    matchers: tuple[str, ...] = ()


def silence(engine: Engine, asked: Asked, now_ns: int) -> Mute:
    """Silence what matches.

    Raises:
        ValueError: with what to write instead.
    """
    if not 1 <= len(asked.matchers) <= MOST_MATCHERS:
        raise ValueError(f"matchers: write one to {MOST_MATCHERS}, such as team=payments")
    matchers = [_matcher(text) for text in asked.matchers]
    if all(matcher.operator in ("!=", "!~") or matcher.value in ("", ".*") for matcher in matchers):
        raise ValueError("matchers: these leave out nothing in particular; write one that names something, name=value")
    return _add(engine, MuteKind.SILENCE, matchers, asked, now_ns)


def acknowledge(engine: Engine, some_id: str, asked: Asked, now_ns: int) -> Mute:
    """Say that somebody knows of an episode: no more updates of it until then.

    Raises:
        NoSuchThing: for an id that is of no insight and no episode.
        ValueError: with what to write instead; also where the episode is over.
    """
    if asked.matchers:
        raise ValueError("matchers: an acknowledgement is about one episode; leave them out")
    told = read_episode(engine, some_id)
    if not told:
        raise NoSuchThing(f"there is no insight or episode {some_id!r}; `tokensense insights` lists them")
    newest = told[-1]
    if newest.status is Status.RESOLVED:
        raise ValueError(f"episode: it was resolved at {newest.resolved_at}; there is nothing to acknowledge")
    matchers = [Matcher("episode", "=", newest.episode_id)]
    return _add(engine, MuteKind.ACKNOWLEDGEMENT, matchers, asked, now_ns)


def end(engine: Engine, mute_id: str, now_ns: int) -> Mute:
    """End a silence or an acknowledgement now.

    Raises:
        NoSuchThing: where there is none that is in force or to come.
    """
    ended = Mutes(engine).end(mute_id, now_ns)
    if ended is None:
        raise NoSuchThing(f"{mute_id!r} is not in force; `tokensense silences list` shows what is")
    return ended


def listing(engine: Engine, now_ns: int, *, all_: bool = False) -> list[dict[str, Any]]:
    """Silences and acknowledgements that are in force or to come, or every one, newest first."""
    return [to_document(mute, now_ns) for mute in Mutes(engine).listing(now_ns=None if all_ else now_ns)]


def to_document(mute: Mute, now_ns: int) -> dict[str, Any]:
    """A silence or an acknowledgement as it is shown."""
    state = "ended" if mute.ends_ns <= now_ns else "in force" if mute.starts_ns <= now_ns else "to come"
    return {
        "id": mute.id,
        "kind": mute.kind.value,
        "state": state,
        "matchers": [str(matcher) for matcher in mute.matchers],
        "starts_at": rfc3339(mute.starts_ns),
        "ends_at": rfc3339(mute.ends_ns),
        "by": mute.by,
        "reason": mute.reason,
        "created_at": rfc3339(mute.created_ns),
    }


def decode_asked(body: bytes) -> Asked:
    """What a JSON body asks for.

    Raises:
        ValueError: with the field that is wrong.
    """
    return msgspec.json.decode(body, type=Asked)


def _add(engine: Engine, kind: MuteKind, matchers: list[Matcher], asked: Asked, now_ns: int) -> Mute:
    for name, text in (("by", asked.by), ("reason", asked.reason)):
        if not text.strip() or len(text) > MOST_CHARS:
            raise ValueError(f"{name}: say in up to {MOST_CHARS} characters {_WHAT[name]}")
    starts_ns = _time("starts", asked.starts, now_ns) if asked.starts else now_ns
    if not asked.until:
        raise ValueError("until: nothing is muted for ever; write 2h, or 2026-01-31T08:00:00Z")
    ends_ns = _time("until", asked.until, now_ns)
    if ends_ns <= max(starts_ns, now_ns):
        raise ValueError(f"until: {asked.until} is over before it begins; write a later time")
    return Mutes(engine).add(
        kind,
        matchers,
        starts_ns=starts_ns,
        ends_ns=ends_ns,
        by=asked.by.strip(),
        reason=asked.reason.strip(),
        now_ns=now_ns,
    )


_WHAT = {"by": "who says so", "reason": "why, so that others understand it"}


def _matcher(text: str) -> Matcher:
    try:
        return parse_matcher(text)
    except ValueError as error:
        raise ValueError(f"matchers: {error}") from None


def _time(name: str, text: str, now_ns: int) -> int:
    try:
        return parse_future(text, now_ns)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
