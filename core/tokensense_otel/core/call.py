"""A model call, what it used, what it cost, and the posting that puts it on the books.

These are plain data on the hot path and on disk: msgspec structs encoded as arrays, so fields are only ever added at
the end and never renamed away. The shape of a stored state is guarded by a version beside it. None of them can be part
of a cycle, so the garbage collector need not walk the many that are kept (`gc=False`).
"""

from enum import IntEnum
from typing import Final

import msgspec

UNATTRIBUTED: Final = "unattributed"
"""What a dimension says when nothing named it: a value of its own, so that it can be listed and driven down."""

DEFAULT_TENANT: Final = "default"
DEFAULT_PROJECT: Final = "default"


class Tokens(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Tokens by class, each a count or `None` for "nobody said".

    `input` includes what was read from and written to a cache, `output` includes reasoning, whatever the dialect said
    (OpenTelemetry GenAI conventions v1.41, `gen_ai.usage.*`). The others are subsets of those two.
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    image_input: int | None = None

    @property
    def known(self) -> bool:
        """Whether anybody reported usage at all."""
        return self.input is not None or self.output is not None


NO_TOKENS: Final = Tokens()


class CostKind(IntEnum):
    """Cost is three-valued; an unknown cost is never zero dollars."""

    UNKNOWN = 0
    KNOWN = 1
    ESTIMATED = 2


class Cost(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a call cost, in nano-dollars: exactly `low` when known, within `low…high` when estimated.

    `price_id` and `catalogue` name the price entry and the catalogue version behind the figure, so that it can be
    proven later. `reason` says in a few words why a cost is unknown or only estimated.
    """

    kind: CostKind = CostKind.UNKNOWN
    low: int = 0
    high: int = 0
    price_id: str = ""
    catalogue: str = ""
    reason: str = ""


UNKNOWN_COST: Final = Cost()


class Task:
    """Flags of what was asked of a model. Plain integers: they are asked of every call.

    What is not set is unknown, unless `TOOLS_TOLD` or `FORMAT_TOLD` says that the emitter would have told it.
    """

    TOOLS_OFFERED: Final = 1
    TOOLS_CALLED: Final = 2
    STRUCTURED: Final = 4
    """The answer had to follow a schema, or to be JSON."""
    OTHER_OUTPUT: Final = 8
    """The answer is speech, an image or anything else that is no text."""
    TOOLS_TOLD: Final = 16
    FORMAT_TOLD: Final = 32


_TOOLS: Final = Task.TOOLS_OFFERED | Task.TOOLS_CALLED


class Source(IntEnum):
    """The kind of telemetry that told of a call."""

    SPAN = 0
    RECORD = 1
    """A log record."""
    METER = 2
    """Metric points, which tell of many calls at once."""


class Dimensions(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Whose call it was and for what; an empty string means that nothing named it (shown as `unattributed`)."""

    team: str = ""
    feature: str = ""
    environment: str = ""
    service: str = ""
    user: str = ""
    session: str = ""
    agent: str = ""


class Call(msgspec.Struct, frozen=True, gc=False, array_like=True, kw_only=True):
    """One request to a model that is or could be billed, failed ones included.

    Ids are raw bytes as in OTLP; times are Unix nanoseconds; `provider` and models are normalised names
    (`anthropic`, `claude-sonnet-4-5`). `notes` says what had to be inferred and how, for `explain`.
    """

    tenant: str = DEFAULT_TENANT
    project: str = DEFAULT_PROJECT
    trace_id: bytes
    span_id: bytes
    start_ns: int
    end_ns: int
    provider: str = ""
    request_model: str = ""
    response_model: str = ""
    operation: str = "chat"
    tokens: Tokens = NO_TOKENS
    cost: Cost = UNKNOWN_COST
    dimensions: Dimensions = Dimensions()
    response_id: str = ""
    error_type: str = ""
    finish_reason: str = ""
    service_tier: str = ""
    streaming: bool = False
    first_token_ns: int | None = None
    """Time to first token, as a duration in nanoseconds from the start of the call."""
    prompt_hash: str = ""
    prefix_hash: str = ""
    dialect: str = ""
    notes: tuple[str, ...] = ()
    scope: str = ""
    """The instrumentation scope that reported the call: two of them may report the same one."""
    root: bool = False
    """Whether the reporting span has no parent, so that a second report of the call may be in another trace."""
    count: int = 1
    """How many calls these are: more than one only where nothing but metrics told of them (`Source.METER`)."""
    source: Source = Source.SPAN
    full_model: str = ""
    """The model's name in full, with region, router or path, where the names above leave that out: prices differ."""
    reported_cost: int | None = None
    """What the emitter says that it cost, in nano-dollars. Kept beside `cost`, never instead of it."""
    task: int = 0
    """What was asked of the model, as flags of `Task`; none of them where nobody tells."""
    version: str = ""
    """The version of the service that made it, or of its deployment, so that a change can be dated to one."""
    max_output: int | None = None
    """The most output tokens that were asked for."""
    attempt: int | None = None
    """Which attempt at one request it was, the first being 1, where the emitter counts them."""

    @property
    def model(self) -> str:
        """The response model, else the request model."""
        return self.response_model or self.request_model

    @property
    def failed(self) -> bool:
        return bool(self.error_type)

    @property
    def used_tools(self) -> bool | None:
        """Whether the model was offered tools or called one; `None` where nobody tells."""
        return True if self.task & _TOOLS else False if self.task & Task.TOOLS_TOLD else None

    @property
    def structured(self) -> bool | None:
        """Whether the answer had to be of a given structure, such as JSON; `None` where nobody tells."""
        return True if self.task & Task.STRUCTURED else False if self.task & Task.FORMAT_TOLD else None

    @property
    def lacks_usage(self) -> bool:
        """Whether it is a gap in the books that nobody reported usage.

        A request refused before any answer is an error with nothing to bill.
        """
        return not self.tokens.known and not (self.failed and self.first_token_ns is None)

    @property
    def disputed(self) -> bool:
        """Whether what the emitter says that it cost is more than 2 % off our own figure, or its bounds.

        Half a micro-dollar is no dispute: emitters round to six decimals.
        """
        reported, cost = self.reported_cost, self.cost
        if reported is None or cost.kind is CostKind.UNKNOWN:
            return False
        apart = max(cost.low - reported, reported - cost.high, 0)
        return apart > 500 and apart * 50 > (cost.low if reported < cost.low else cost.high)


class Posting(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One line in the books: `sign` is +1 for a call that counts, −1 for the reversal of exactly such a line.

    Later evidence (an outer span, the other half of a stream, a team named only at the root) can change what a call
    is. Then the old line is reversed and the corrected one posted, so sums are right at every moment and do not depend
    on the order in which spans came.
    """

    sign: int
    call: Call
