"""From an OTLP trace request to the facts that accounting needs: the only place that sees a span's attributes.

Pure, but for caches. Text on a span leaves no trace in the facts, only salted hashes of it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, cast

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tokensense_otel.core.call import Call, Dimensions, Task
from tokensense_otel.core.tally import Tallies
from tokensense_otel.dataflow.facts import Kind, Origin, SpanFacts, ToolCall
from tokensense_otel.dataflow.normalise.aliases import reports_usage
from tokensense_otel.dataflow.normalise.attributes import attributes_of, to_text
from tokensense_otel.dataflow.normalise.attribution import NOBODY, PROJECT, Attribution, version_of
from tokensense_otel.dataflow.normalise.classify import NEVER_COUNTED, classify, told_by
from tokensense_otel.dataflow.normalise.config import NormaliseConfig
from tokensense_otel.dataflow.normalise.corrections import Correction, Problems, tally_problems
from tokensense_otel.dataflow.normalise.dialects import FALLBACK, Dialect, dialect_of_markers, dialect_of_scope
from tokensense_otel.dataflow.normalise.reader import CallReader
from tokensense_otel.dataflow.normalise.sanity import EARLIEST_NS
from tokensense_otel.dataflow.normalise.shapes import Shape, Shapes
from tokensense_otel.dataflow.normalise.wire import WireAttributes, WireTraces

Read = Callable[[Any, Problems], dict[str, Any]]
_Resource = tuple[Dimensions, tuple[str, ...], str, Problems, str]
"""Dimensions, which attribute named each, project, what had to be corrected, version."""

# Looked up once: on Python 3.11 naming the member of an enumeration costs a quarter of a microsecond.
_OTHER, _CALL, _CANDIDATE = Kind.OTHER, Kind.CALL, Kind.CANDIDATE
_WRAPPER, _DETAIL, _TOOL = Kind.WRAPPER, Kind.DETAIL, Kind.TOOL
_NO_TRACE: Final = bytes(16)
_NO_SPAN: Final = bytes(8)
_MAX_CACHED: Final = 1_024
_MAX_SCOPE: Final = 128


class Sender(NamedTuple):
    """What a resource, and the key that it came with, say of everything that it sends."""

    tenant: str
    project: str
    project_is_final: bool
    dimensions: Dimensions
    named: tuple[str, ...]
    received_ns: int
    faults: Problems
    """What had to be corrected on the resource."""
    version: str = ""
    """Of the service, or of its deployment."""


class Normaliser:
    """`salt` keys the hashes of prompts; it belongs to the installation and is kept secret."""

    def __init__(self, config: NormaliseConfig, salt: bytes) -> None:
        self._attribution = Attribution(config.attribution)
        self._shapes = Shapes(self._attribution.naming)
        self._wire = WireAttributes()
        self.reader = CallReader(config, salt, self._shapes)
        self._scopes: dict[str, Dialect | None] = {}
        self._resources: dict[bytes, _Resource] = {}
        self._origins: dict[tuple[object, ...], Origin] = {}

    def spans(
        self,
        request: ExportTraceServiceRequest,
        *,
        tenant: str,
        project: str,
        received_ns: int = 0,
        tallies: Tallies | None = None,
    ) -> tuple[list[SpanFacts], int]:
        """The facts of every span, and how many spans were rejected, of an official request or one of `WireTraces`.

        A span is rejected if its ids have the wrong length or are all zero, or if neither it nor its reception has a
        time. `project` is that of the sender's key; where it is not empty, no attribute changes it. `received_ns` is 0
        where nobody knows it. What had to be corrected is counted in `tallies`.
        """
        facts: list[SpanFacts] = []
        rejected = 0
        read = cast("Read", self._wire.read if isinstance(request, WireTraces) else attributes_of)
        if tallies is None:
            tallies = Tallies()
        for group in request.resource_spans:
            sender = self.sender(group.resource, tenant, project, received_ns)
            service = sender.dimensions.service
            if sender.faults:
                tally_problems(tallies, sender.faults, tenant, service)
            for scoped in group.scope_spans:
                scope = scoped.scope.name
                dialect = self.dialect(scope)
                for span in scoped.spans:
                    problems: Problems = []
                    if _usable(span, sender.received_ns, problems):
                        attributes = read(span.attributes, problems)
                        facts.append(self._facts(span, attributes, scope, dialect, sender, problems))
                    else:
                        rejected += 1
                    if problems:
                        tally_problems(tallies, problems, tenant, service)
        return facts, rejected

    def sender(self, resource: Resource, tenant: str, project: str, received_ns: int) -> Sender:
        """Whose a resource is. `project` is that of its key, `received_ns` when it was received (0: nobody knows)."""
        dimensions, named, resource_project, faults, version = self._resource(resource)
        if received_ns < EARLIEST_NS:
            received_ns = 0  # a machine whose clock was not set yet does not know when it received anything
        final = bool(project)
        return Sender(tenant, project or resource_project, final, dimensions, named, received_ns, faults, version)

    def _resource(self, resource: Resource) -> _Resource:
        """What a resource names; the same few of them come with every request."""
        key = resource.SerializeToString()
        try:
            return self._resources[key]
        except KeyError:
            if len(self._resources) >= _MAX_CACHED:
                self._resources.clear()
            problems: Problems = []
            attributes = attributes_of(resource.attributes, problems)
            dimensions, named = self._attribution.read_named(attributes)
            project = to_text(attributes.get(PROJECT))
            found = self._resources[key] = dimensions, named, project, problems, version_of(attributes)
            return found

    def dialect(self, scope: str) -> Dialect | None:
        """The dialect of an instrumentation scope, `None` where that tells nothing."""
        try:
            return self._scopes[scope]
        except KeyError:
            if len(self._scopes) >= _MAX_CACHED:
                self._scopes.clear()
            found = self._scopes[scope] = dialect_of_scope(scope)
            return found

    def _facts(
        self,
        span: Span,
        attributes: dict[str, Any],
        scope: str,
        dialect: Dialect | None,
        sender: Sender,
        problems: Problems,
    ) -> SpanFacts:
        known_scope = dialect is not None
        shape = self._shapes.of(attributes)
        if dialect is None:
            if not shape.genai:
                return self.facts(span, _OTHER, attributes, None, scope, FALLBACK.name, "", sender, problems, shape)
            dialect = dialect_of_markers(attributes)
        kind, operation = classify(dialect, known_scope, span.name, attributes)
        call: Call | None = None
        lends = False
        if (
            kind is _CALL
            or kind is _CANDIDATE
            or kind is _DETAIL
            or _stands_in(kind, dialect, span, attributes)
            or (lends := kind is _WRAPPER and span.name == dialect.lends_model)
        ):
            call = self.reader.read(
                span,
                attributes,
                dialect,
                kind,
                operation,
                tenant=sender.tenant,
                scope=scope,
                received_ns=sender.received_ns,
                problems=problems,
                shape=shape,
                version=sender.version,
            )
            if kind is _WRAPPER and not call.tokens.known and not lends:
                call = None
        tools: tuple[ToolCall, ...] = ()
        if kind is _TOOL or (kind is _CALL and shape.answers):
            tools = self.reader.tools(span, attributes, kind, call, sender.received_ns, shape)
        sign = told_by(dialect, known_scope, span.name, attributes) if kind is not _OTHER else ""
        return self.facts(span, kind, attributes, call, scope, dialect.name, sign, sender, problems, shape, tools)

    def owner(self, attributes: Mapping[str, Any], sender: Sender) -> tuple[Dimensions, str]:
        """Whose something with these attributes is, and its project (empty where nothing names one)."""
        own, other = map(msgspec.structs.astuple, (self._attribution.read(attributes), sender.dimensions))
        where = Dimensions(*(mine or its for mine, its in zip(own, other, strict=True)))
        return where, sender.project if sender.project_is_final else to_text(attributes.get(PROJECT)) or sender.project

    def facts(
        self,
        span: Span,
        kind: Kind,
        attributes: Mapping[str, Any],
        call: Call | None,
        scope: str,
        dialect: str,
        sign: str,
        sender: Sender,
        problems: Problems,
        shape: Shape | None = None,
        tools: tuple[ToolCall, ...] = (),
    ) -> SpanFacts:
        """The facts of a span whose kind and call were told, with whom its attributes and its sender name."""
        if tools and call is not None and not call.task & Task.TOOLS_CALLED:
            call = msgspec.structs.replace(call, task=call.task | Task.TOOLS_CALLED)
        naming = (shape or self._shapes.of(attributes)).naming
        own, named = self._attribution.read_named(attributes, naming) if naming else (NOBODY, ())
        parent_id = span.parent_span_id
        return SpanFacts(
            sender.tenant,
            span.trace_id,
            span.span_id,
            parent_id if parent_id != _NO_SPAN else b"",
            kind,
            own,
            sender.dimensions,
            "" if sender.project_is_final else to_text(attributes.get(PROJECT)),
            call,
            sender.project,
            self._origin(scope, dialect, sign, named, sender.named, tuple(problems)),
            tools,
        )

    def _origin(self, *parts: Any) -> Origin:
        try:
            return self._origins[parts]
        except KeyError:
            if len(self._origins) >= _MAX_CACHED:
                self._origins.clear()
            scope, *rest = parts
            found = self._origins[parts] = Origin(scope[:_MAX_SCOPE], *rest)
            return found


def _stands_in(kind: Kind, dialect: Dialect, span: Span, attributes: Mapping[str, Any]) -> bool:
    """Whether a wrapper's usage may stand in for calls that nobody reported: never where it is a running total."""
    return kind is _WRAPPER and not dialect.cumulative and reports_usage(attributes) and span.name not in NEVER_COUNTED


def _usable(span: Span, received_ns: int, problems: Problems) -> bool:
    trace_id, span_id = span.trace_id, span.span_id
    if len(trace_id) != 16 or trace_id == _NO_TRACE:
        problems.append(Correction.TRACE_ID_INVALID)
    elif len(span_id) != 8 or span_id == _NO_SPAN:
        problems.append(Correction.SPAN_ID_INVALID)
    elif not (span.start_time_unix_nano or span.end_time_unix_nano or received_ns):
        problems.append(Correction.TIME_NOWHERE)
    else:
        return True
    return False
