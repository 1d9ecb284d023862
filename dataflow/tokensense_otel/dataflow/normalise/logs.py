"""From an OTLP logs request to facts: the records that tell of a model call; any other record leaves no trace.

Two sorts. Events of the GenAI conventions tell of the span in whose context they were written (`Kind.EVENT`). Coding
agents write one record for each request (`Kind.CALL`), whether or not there is a span of it. Names and attributes are
those of the conventions v1.41 and of live exports of Claude Code 2.1 and Codex 0.160, and of Gemini CLI's own docs.
"""

import hashlib
from typing import Any, Final, NamedTuple

import msgspec
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tokensense_otel.core.call import Source
from tokensense_otel.core.tally import Tallies
from tokensense_otel.dataflow.facts import Kind, SpanFacts
from tokensense_otel.dataflow.normalise.aliases import reports_usage
from tokensense_otel.dataflow.normalise.attributes import attributes_of, to_count, to_number, to_text
from tokensense_otel.dataflow.normalise.classify import OPERATIONS
from tokensense_otel.dataflow.normalise.corrections import Correction, Problems, tally_problems
from tokensense_otel.dataflow.normalise.dialects import Dialect, dialect_of_markers
from tokensense_otel.dataflow.normalise.normaliser import Normaliser, Sender
from tokensense_otel.dataflow.normalise.sanity import DAY_NS

_NO_TRACE: Final = bytes(16)
_NO_SPAN: Final = bytes(8)
_HTTP_ERROR: Final = 400


class Telling(NamedTuple):
    """What a record of some name tells. `failures` are the attributes that name an error, the first one wins.

    `only` is an attribute and the value that it has to have, of `needs` one has to be there. `of_any` says that the
    record is written of successes too, of which another one tells.
    """

    kind: Kind
    failed: bool = False
    failures: tuple[str, ...] = ()
    only: tuple[str, str] = ("", "")
    needs: tuple[str, ...] = ()
    of_any: bool = False


RECORDS: Final[dict[str, Telling]] = {
    "gen_ai.client.inference.operation.details": Telling(Kind.EVENT),
    "gen_ai.client.operation.exception": Telling(Kind.EVENT, failed=True, failures=("exception.type",)),
    "gen_ai.choice": Telling(Kind.EVENT),
    "claude_code.api_request": Telling(Kind.CALL),
    "claude_code.api_error": Telling(Kind.CALL, failed=True, failures=("status_code",)),
    # Two records tell of the end of each request, of which one has the counts; of a stream that broke off one does.
    "codex.sse_event": Telling(
        Kind.CALL, only=("event.kind", "response.completed"), needs=("input_token_count", "error.message")
    ),
    "codex.api_request": Telling(Kind.CALL, failed=True, failures=("http.response.status_code",), of_any=True),
    "gemini_cli.api_response": Telling(Kind.CALL),
    "gemini_cli.api_error": Telling(Kind.CALL, failed=True, failures=("error_type", "status_code")),
}
"""By the record's event name."""

_AGENTS: Final = {"claude-code": "claude_code", "codex-cli": "codex", "gemini-cli": "gemini_cli"}
"""Dialect → the prefix of its event names, which some of its versions leave out."""
_NAMES: Final = frozenset(RECORDS) | {name.partition(".")[2] for name in RECORDS if not name.startswith("gen_ai.")}
_SCOPES: Final = {
    "claude-code": "com.anthropic.claude_code",
    "claude_code": "com.anthropic.claude_code",
    "codex": "codex",
    "gemini-cli": "gemini-cli",
    "gemini_cli": "gemini-cli",
}
"""`service.name`, or the prefix of an event's name → a scope of the dialect, where the record's own does not tell."""
_HAVE_THEIR_OWN: Final = frozenset({"gemini-cli"})
"""They write one of the conventions' events beside each record of their own."""


class LogNormaliser:
    def __init__(self, normaliser: Normaliser) -> None:
        self._normaliser = normaliser

    def records(
        self,
        request: ExportLogsServiceRequest,
        *,
        tenant: str,
        project: str,
        received_ns: int = 0,
        tallies: Tallies | None = None,
    ) -> tuple[list[SpanFacts], int]:
        """The facts of every record that tells of a call, and how many such records were rejected.

        A record is rejected if neither it nor its reception has a time. Everything else is as in `Normaliser.spans`.
        """
        facts: list[SpanFacts] = []
        rejected = 0
        tallies = Tallies() if tallies is None else tallies
        for group in request.resource_logs:
            sender: Sender | None = None
            for scoped in group.scope_logs:
                scope = scoped.scope.name
                for record in scoped.log_records:
                    name = _name(record)
                    if not name:
                        continue
                    if sender is None:
                        sender = self._normaliser.sender(group.resource, tenant, project, received_ns)
                    service = sender.dimensions.service
                    told_by = _SCOPES.get(name.partition(".")[0]) or _SCOPES.get(service, "")
                    dialect = self._normaliser.dialect(scope) or self._normaliser.dialect(told_by)
                    telling = RECORDS.get(name) or RECORDS.get(f"{_AGENTS.get(dialect.name if dialect else '')}.{name}")
                    if telling is None:
                        continue
                    problems: Problems = []
                    told = self._facts(record, name, telling, scope, dialect, sender, problems)
                    if told is not None:
                        facts.append(told)
                    elif problems:
                        rejected += 1
                    if problems:
                        tally_problems(tallies, problems, tenant, service)
        return facts, rejected

    def _facts(
        self,
        record: LogRecord,
        name: str,
        telling: Telling,
        scope: str,
        dialect: Dialect | None,
        sender: Sender,
        problems: Problems,
    ) -> SpanFacts | None:
        """`None` where the record tells of no call after all; with problems, where it should have."""
        found: Problems = []
        attributes = _attributes(record, telling, found)
        operation = _operation(telling, attributes)
        in_context = _in_context(record)
        dialect = dialect or dialect_of_markers(attributes)
        if (
            not operation
            or (telling.kind is Kind.EVENT and dialect.name in _HAVE_THEIR_OWN)
            or (telling.kind is Kind.EVENT and not in_context and not reports_usage(attributes))
        ):
            return None
        time_ns = record.time_unix_nano or record.observed_time_unix_nano
        if not time_ns and not sender.received_ns:
            problems.append(Correction.TIME_NOWHERE)
            return None
        digest = _digest(record, time_ns, name, scope, sender)
        span = Span(
            trace_id=record.trace_id if in_context else digest[8:],
            span_id=digest[:8],
            parent_span_id=record.span_id if in_context else b"",
            start_time_unix_nano=max(time_ns - _lasted(telling, dialect, attributes), 0),
            end_time_unix_nano=time_ns,
        )
        call = self._normaliser.reader.read(
            span,
            attributes,
            dialect,
            telling.kind,
            operation,
            tenant=sender.tenant,
            scope=scope,
            received_ns=sender.received_ns,
            problems=found,
            version=sender.version,
        )
        call = msgspec.structs.replace(call, source=Source.RECORD)
        tools = self._normaliser.reader.tools(span, attributes, telling.kind, call, sender.received_ns)
        sign = f"log record {name}"
        told = self._normaliser.facts(
            span, telling.kind, attributes, call, scope, dialect.name, sign, sender, found, tools=tools
        )
        problems += found
        return told


def _name(record: LogRecord) -> str:
    """The event's name: of its own field, else of the attribute that came before that, else the body.

    What is no name of a record that tells of calls is passed over: Codex has a line of its code in the field.
    """
    name: str = record.event_name
    if name not in _NAMES:
        name = next((pair.value.string_value for pair in record.attributes if pair.key == "event.name"), "")
    if name not in _NAMES:
        name = record.body.string_value
    return name if name in _NAMES else ""


def _attributes(record: LogRecord, telling: Telling, problems: Problems) -> dict[str, Any]:
    """The record's attributes, and what its body tells, under the names that spans have for it."""
    attributes = attributes_of(record.attributes, problems)
    if record.body.WhichOneof("value") == "kvlist_value":
        for pair in record.body.kvlist_value.values:
            if pair.key == "finish_reason" and pair.value.string_value:
                attributes.setdefault("gen_ai.response.finish_reason", pair.value.string_value)
    session = attributes.get("conversation.id")
    if session is not None:
        attributes.setdefault("gen_ai.conversation.id", session)
    if telling.failed or (telling.kind is Kind.CALL and "error.message" in attributes):
        named = (to_text(attributes.get(key)) for key in telling.failures)
        attributes.setdefault("error.type", next(filter(None, named), "error"))
    return attributes


def _operation(telling: Telling, attributes: dict[str, Any]) -> str:
    """The operation under its normalised name; empty where this is no call."""
    key, value = telling.only
    if (key and attributes.get(key) != value) or (telling.needs and attributes.keys().isdisjoint(telling.needs)):
        return ""
    if telling.kind is Kind.CALL:
        status = to_count(attributes.get("http.response.status_code")) or 0
        failed = status >= _HTTP_ERROR or "error.message" in attributes
        return "chat" if failed or not telling.of_any else ""
    named = attributes.get("gen_ai.operation.name")
    kind, operation = OPERATIONS.get(str(named).lower(), (Kind.WRAPPER, "")) if named else (Kind.CALL, "chat")
    return operation if kind is Kind.CALL else ""


def _in_context(record: LogRecord) -> bool:
    """Whether it names the span in whose context it was written."""
    return (
        len(record.trace_id) == len(_NO_TRACE)
        and len(record.span_id) == len(_NO_SPAN)
        and record.trace_id != _NO_TRACE
        and record.span_id != _NO_SPAN
    )


def _lasted(telling: Telling, dialect: Dialect, attributes: dict[str, Any]) -> int:
    """How long the request took, in nanoseconds. Codex tells how long it waited for the last event, which is less."""
    lasted = to_number(attributes.get("duration_ms")) if telling.kind is Kind.CALL else None
    if lasted is None or dialect.name == "codex-cli" or not 0 <= lasted * 1e6 < DAY_NS:
        return 0
    return round(lasted * 1e6)


def _digest(record: LogRecord, time_ns: int, name: str, scope: str, sender: Sender) -> bytes:
    """24 bytes that are the same whenever this record is sent; when it was observed may differ."""
    digest = hashlib.blake2b(digest_size=24)
    head = (sender.tenant, sender.dimensions.service, scope, name, str(time_ns))
    digest.update("\x1f".join(head).encode() + record.trace_id + record.span_id)
    for pair in record.attributes:
        digest.update(pair.SerializeToString())
    digest.update(record.body.SerializeToString())
    return digest.digest()
