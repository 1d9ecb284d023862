"""From an OTLP trace request to the facts that accounting needs: the only place that sees a span's attributes.

Pure, but for caches. Text on a span leaves no trace in the facts, only salted hashes of it.
"""

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tokensense_otel.core.call import Call, Dimensions
from tokensense_otel.dataflow.facts import Kind, SpanFacts
from tokensense_otel.dataflow.normalise.aliases import reports_usage
from tokensense_otel.dataflow.normalise.attributes import attributes_of, to_text
from tokensense_otel.dataflow.normalise.attribution import NOBODY, PROJECT, Attribution
from tokensense_otel.dataflow.normalise.classify import NEVER_COUNTED, classify
from tokensense_otel.dataflow.normalise.config import NormaliseConfig
from tokensense_otel.dataflow.normalise.dialects import Dialect, dialect_of_markers, dialect_of_scope
from tokensense_otel.dataflow.normalise.reader import CallReader

_NO_TRACE: Final = bytes(16)
_NO_SPAN: Final = bytes(8)
_MAX_CACHED: Final = 1_024


class Normaliser:
    """`salt` keys the hashes of prompts; it belongs to the installation and is kept secret."""

    def __init__(self, config: NormaliseConfig, salt: bytes) -> None:
        self._attribution = Attribution(config.attribution)
        self._reader = CallReader(config, salt)
        self._scopes: dict[str, Dialect | None] = {}
        self._resources: dict[bytes, tuple[Dimensions, str]] = {}

    def spans(self, request: ExportTraceServiceRequest, *, tenant: str, project: str) -> tuple[list[SpanFacts], int]:
        """The facts of every span, and how many spans were rejected.

        A span is rejected if its ids have the wrong length or are all zero, or if it has no time at all. `project` is
        that of the sender's key; where it is not empty, no attribute changes it.
        """
        facts: list[SpanFacts] = []
        rejected = 0
        for group in request.resource_spans:
            resource, resource_project = self._resource(group.resource)
            resource_project = project or resource_project
            for scoped in group.scope_spans:
                scope = scoped.scope.name
                dialect = self._dialect(scope)
                for span in scoped.spans:
                    if not _usable(span):
                        rejected += 1
                        continue
                    facts.append(
                        self._facts(span, scope, dialect, resource, tenant, resource_project, fixed=bool(project))
                    )
        return facts, rejected

    def _resource(self, resource: Resource) -> tuple[Dimensions, str]:
        """Dimensions and project of a resource; the same few of them come with every request."""
        key = resource.SerializeToString()
        try:
            return self._resources[key]
        except KeyError:
            if len(self._resources) >= _MAX_CACHED:
                self._resources.clear()
            attributes = attributes_of(resource.attributes)
            found = self._resources[key] = self._attribution.read(attributes), to_text(attributes.get(PROJECT))
            return found

    def _dialect(self, scope: str) -> Dialect | None:
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
        scope: str,
        dialect: Dialect | None,
        resource: Dimensions,
        tenant: str,
        resource_project: str,
        *,
        fixed: bool,
    ) -> SpanFacts:
        attributes = attributes_of(span.attributes)
        known_scope = dialect is not None
        if dialect is None:
            dialect = dialect_of_markers(attributes)
        kind, operation = classify(dialect, known_scope, span.name, attributes)
        own = self._attribution.read(attributes) if attributes else NOBODY
        call: Call | None = None
        if (
            kind is Kind.CALL
            or kind is Kind.CANDIDATE
            or kind is Kind.DETAIL
            or _stands_in(kind, dialect, span, attributes)
        ):
            call = self._reader.read(span, attributes, dialect, kind, operation, tenant=tenant, scope=scope)
            if kind is Kind.WRAPPER and not call.tokens.known:
                call = None
        return SpanFacts(
            tenant,
            span.trace_id,
            span.span_id,
            span.parent_span_id if span.parent_span_id != _NO_SPAN else b"",
            kind,
            own,
            resource,
            "" if fixed else to_text(attributes.get(PROJECT)),
            call,
            resource_project,
        )


def _stands_in(kind: Kind, dialect: Dialect, span: Span, attributes: Mapping[str, Any]) -> bool:
    """Whether a wrapper's usage may stand in for calls that nobody reported: never where it is a running total."""
    return (
        kind is Kind.WRAPPER and not dialect.cumulative and reports_usage(attributes) and span.name not in NEVER_COUNTED
    )


def _usable(span: Span) -> bool:
    return (
        len(span.trace_id) == 16
        and len(span.span_id) == 8
        and span.trace_id != _NO_TRACE
        and span.span_id != _NO_SPAN
        and bool(span.start_time_unix_nano or span.end_time_unix_nano)
    )
