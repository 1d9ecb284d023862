"""What the dataflow keeps of a span: the facts that accounting needs, and nothing of its text.

Facts are made once, by `normalise`, from an OTLP span of any dialect; accounting decides on facts alone.
"""

from enum import IntEnum

import msgspec

from tokensense_otel.core.call import Call, Dimensions


class Kind(IntEnum):
    """What a span is to the books."""

    OTHER = 0
    """Not about GenAI; kept for its place between parent and child."""
    CALL = 1
    """One request to a model."""
    CANDIDATE = 2
    """Carries usage and a model but no operation: counts only where no call is above or below it."""
    WRAPPER = 3
    """An agent, chain or workflow around calls; its usage counts only where it has no call beneath it."""
    TOOL = 4
    """A tool, retrieval or other GenAI step that is never billed as a model call."""
    DETAIL = 5
    """A second span about its parent call (`raw_gen_ai_request`): adds facts to it, never counts."""


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """Where the facts of a span come from, for `explain`; one object for the many spans that are alike.

    `sign` is what told its kind (`gen_ai.operation.name=chat`). `own` and `resource` are the attributes that named
    each dimension, in the order of `Dimensions`; empty where nothing did. `corrections` are reasons by name.
    """

    scope: str = ""
    dialect: str = ""
    sign: str = ""
    own: tuple[str, ...] = ()
    resource: tuple[str, ...] = ()
    corrections: tuple[str, ...] = ()


class SpanFacts(msgspec.Struct, frozen=True, array_like=True):
    """One span. `parent_id` is empty for a root.

    `own` are the dimensions that the span's attributes name and that its descendants inherit; `resource` are those of
    its resource, which yield to any span's. `call` is set for CALL, CANDIDATE, DETAIL and for a WRAPPER that reports
    usage; its dimensions are filled by accounting, not by `normalise`.
    """

    tenant: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    kind: Kind
    own: Dimensions = Dimensions()
    resource: Dimensions = Dimensions()
    project: str = ""
    call: Call | None = None
    resource_project: str = ""
    """The project that its resource or the sender's key names; yields to any span's."""
    origin: Origin | None = None


class MemorySample(msgspec.Struct, frozen=True, array_like=True):
    """One observation of a function's or container's memory, in bytes; whichever part the emitter sent.

    `entity` identifies the function or container (its parts joined by `/`), `scope` names it for people. A sample may
    hold use and limit together, only one of them (they are joined by entity), or the ratio itself (0…1).
    """

    tenant: str
    project: str
    entity: str
    scope: tuple[tuple[str, str], ...]
    time_ns: int
    used: int | None = None
    limit: int | None = None
    ratio: float | None = None
    source: str = ""
