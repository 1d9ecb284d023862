"""What the dataflow keeps of a span: the facts that accounting needs, and nothing of its text.

Facts are made once, by `normalise`, from an OTLP span of any dialect; accounting decides on facts alone.
"""

from enum import IntEnum

import msgspec

from tokensense_otel.core.call import Call, Dimensions, Source

_RECORD = Source.RECORD


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
    EVENT = 6
    """A log record about its parent: adds facts to it where that is a call, and is the call where nothing else is."""


class Origin(msgspec.Struct, frozen=True, gc=False, array_like=True):
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


class ToolCall(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A tool that was used. `args_hash` is of its name and arguments under the install's salt, never text."""

    name: str
    args_hash: str
    time_ns: int


class SpanFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One span, or one log record that tells of a call. `parent_id` is empty for a root.

    `own` are the dimensions that the span's attributes name and that its descendants inherit; `resource` are those of
    its resource, which yield to any span's. `call` is set for CALL, CANDIDATE, DETAIL, EVENT and for a WRAPPER that
    reports usage; its dimensions are filled by accounting, not by `normalise`.

    A log record is the child of the span in whose context it was written. Its own ids are made from its content, so
    that a resend has the same ones.
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
    tools: tuple[ToolCall, ...] = ()
    """The execution of a tool that the span is, or those that the answer of a call asked for."""

    @property
    def is_record(self) -> bool:
        """Whether it is a log record."""
        return self.call is not None and self.call.source is _RECORD


class ToolUse(msgspec.Struct, frozen=True, gc=False, array_like=True, kw_only=True):
    """A tool was used with some arguments, as one instrumentation tells it: evidence for the rules.

    Two instrumentations, or the answer that asked for a tool and its execution, may tell of one use; their `scope`
    differs, so count by scope and take the largest. A use of `sign` −1 takes back exactly such a one.
    """

    tenant: str
    project: str
    team: str
    session: str
    trace_id: bytes
    scope: str
    name: str
    args_hash: str
    time_ns: int
    sign: int = 1


class MemorySample(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One observation of a function's or container's memory, in bytes, or of how long it ran; whichever part was sent.

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
    platform: str = ""
    """Where it runs, as OpenTelemetry's `cloud.platform` names it, `aws_fargate` for a task there; may be empty."""
    busy_ns: int | None = None
    """How long it ran in total since `busy_since_ns`; samples with the same start tell the same sum as it grows."""
    busy_since_ns: int = 0


class Measure(IntEnum):
    """What a time series about calls counts."""

    CALLS = 0
    INPUT = 1
    OUTPUT = 2
    CACHE_READ = 3
    CACHE_WRITE = 4
    REASONING = 5


class MeterPoint(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One value of one time series about calls, as its emitter counts tokens.

    A meter is all the series that tell of the same calls: `call` is what they say of them (without times, tokens and
    count; its trace id is the meter's). Where two series of a meter measure the same, the one of lower `choice` counts;
    where two meters tell of the same calls, the one of lower `rank`.
    """

    call: Call
    service: str
    """As the resource names it, which is how spans of the same calls are found."""
    resource: bytes
    """Tells one process from another, where its resource does."""
    series: bytes
    measure: Measure
    choice: int
    rank: int
    delta: bool
    """Whether `value` is of the time from `start_ns` to `time_ns` only; else it is the sum since `start_ns`."""
    start_ns: int
    """0 where the emitter does not say."""
    time_ns: int
    value: int
    input_excludes_cache: bool = False
    output_excludes_reasoning: bool = False

    @property
    def tenant(self) -> str:
        return self.call.tenant

    @property
    def meter(self) -> bytes:
        return self.call.trace_id


class Covered(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """In this minute (of Unix time) a span or log record told of a call of this service to this model.

    Two empty names stand for any model.
    """

    tenant: str
    service: str
    request_model: str
    response_model: str
    minute: int
