"""One span of any dialect as a `Call`: the canonical fields of its attributes, put together."""

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tokensense_otel.core.call import NO_TOKENS, Call, Tokens
from tokensense_otel.dataflow.facts import Kind, ToolCall
from tokensense_otel.dataflow.normalise.aliases import gather
from tokensense_otel.dataflow.normalise.attributes import (
    attributes_of,
    to_bool,
    to_count,
    to_number,
    to_text,
    to_texts,
)
from tokensense_otel.dataflow.normalise.blobs import read_usage
from tokensense_otel.dataflow.normalise.classify import named_call
from tokensense_otel.dataflow.normalise.config import NormaliseConfig
from tokensense_otel.dataflow.normalise.corrections import Correction, Problems
from tokensense_otel.dataflow.normalise.cost import reported_cost
from tokensense_otel.dataflow.normalise.details import PAYLOADS, READERS, Details
from tokensense_otel.dataflow.normalise.dialects import Dialect
from tokensense_otel.dataflow.normalise.models import full_model_name, model_name, provider_name
from tokensense_otel.dataflow.normalise.prompt import prompt_hashes
from tokensense_otel.dataflow.normalise.sanity import DAY_NS, payload_fault, sane_times
from tokensense_otel.dataflow.normalise.shapes import Shape, Shapes
from tokensense_otel.dataflow.normalise.task import TOOL_CALLED, attempt_of, task_of
from tokensense_otel.dataflow.normalise.tools import executed, requested
from tokensense_otel.dataflow.normalise.usage import Contract, counts_of, fill, resolve

_WRAPPER: Final = Kind.WRAPPER
_TOOL: Final = Kind.TOOL
_ERROR: Final = Status.STATUS_CODE_ERROR
_UNTOLD: Final = "error"
"""The error type of a failure that names none."""
_FIRST_TOKEN_EVENTS: Final = frozenset({"First Token Stream Event", "ai.stream.firstChunk"})
_MAX_TEXT: Final = 256
_PARTS: Final = frozenset({"cache_write_1h", "audio_input", "audio_output", "image_input", "reasoning"})
"""Classes that are part of another one."""


class CallReader:
    def __init__(self, config: NormaliseConfig, salt: bytes, shapes: Shapes) -> None:
        self._config = config
        self._salt = salt
        self._shapes = shapes

    def read(
        self,
        span: Span,
        attributes: Mapping[str, Any],
        dialect: Dialect,
        kind: Kind,
        operation: str,
        *,
        tenant: str,
        scope: str,
        received_ns: int,
        problems: Problems,
        shape: Shape | None = None,
        version: str = "",
    ) -> Call:
        """What the span says of a call. Tokens come as `core.call.Tokens` defines them; cost and dimensions later.

        `problems` gets what had to be corrected. `received_ns` is 0 where nobody knows it, `version` the sender's.
        """
        notes: list[str] = []
        shape = shape or self._shapes.of(attributes)
        found = gather(attributes, dialect.more, shape.fields)
        if dialect.identity and attributes.get(dialect.identity):
            found["response_id"] = attributes[dialect.identity]
        details: Details | None = None
        if dialect.details:
            details = READERS[dialect.details](attributes, self._config.max_json_bytes)
            for name, value in details.fields.items():
                # The payload names models as the provider did; an instrumentation may have put one in both places.
                if value and (name not in found or name in ("request_model", "response_model")):
                    found[name] = value
        raw_request, raw_response = to_text(found.get("request_model")), to_text(found.get("response_model"))
        if not raw_request and not raw_response:
            raw_request = named_call(span.name)[1]
        provider = provider_name(
            to_text(found.get("provider")), raw_response or raw_request, to_text(found.get("host"))
        )
        streaming = to_bool(found.get("stream"))
        events = span.events
        first_token_ns: int | None = None
        if events or "ttft_s" in found or "ttft_ms" in found:
            first_token_ns = _first_token(span, found, dialect, problems)
        streaming = streaming or (first_token_ns is not None and "stream" not in found)
        tokens = _tokens(found, attributes, details, dialect, provider, operation, streaming, notes, problems)
        if dialect.details and not tokens.known:
            fault = payload_fault(attributes, PAYLOADS.get(dialect.details, ""), self._config.max_json_bytes)
            if fault is not None:
                problems.append(fault)
        error_type = _error(span, found, attributes, tokens)
        prompt_hash = prefix_hash = ""
        if self._config.hash_prompts and kind is not _WRAPPER and (shape.prompt or events):
            prompt_hash, prefix_hash = prompt_hashes(
                attributes,
                events,
                self._salt,
                prefix_chars=self._config.prefix_chars,
                max_chars=self._config.max_prompt_chars,
            )
        start_ns, end_ns = sane_times(span.start_time_unix_nano, span.end_time_unix_nano, received_ns, problems)
        if details is not None and details.lasted_ns:
            start_ns = max(end_ns - details.lasted_ns, 1)
        response_id = to_text(found.get("response_id"))
        finish_reason = _finish_reason(found["finish"]) if "finish" in found else ""
        tells = "tools" in found or finish_reason in TOOL_CALLED or "format" in found or dialect.tells_tools
        if max(len(raw_request), len(raw_response), len(response_id), len(error_type)) > _MAX_TEXT:
            problems.append(Correction.NAME_TOO_LONG)
            raw_request, raw_response = raw_request[:_MAX_TEXT], raw_response[:_MAX_TEXT]
            response_id, error_type = response_id[:_MAX_TEXT], error_type[:_MAX_TEXT]
        return Call(
            tenant=tenant,
            trace_id=span.trace_id,
            span_id=span.span_id,
            start_ns=start_ns,
            end_ns=end_ns,
            provider=provider,
            request_model=model_name(raw_request),
            response_model=model_name(raw_response),
            operation=operation or "chat",
            tokens=tokens,
            response_id=response_id,
            error_type=error_type,
            finish_reason=finish_reason,
            service_tier=to_text(found.get("tier"))[:64],
            streaming=streaming,
            first_token_ns=first_token_ns,
            prompt_hash=prompt_hash,
            prefix_hash=prefix_hash,
            dialect=dialect.name,
            notes=tuple(notes),
            scope=scope,
            root=not span.parent_span_id.strip(b"\0"),
            full_model=full_model_name(raw_request, raw_response),
            reported_cost=reported_cost(found["cost"]) if "cost" in found else None,
            task=task_of(found, finish_reason, dialect, attributes) if tells else 0,
            version=to_text(found["version"])[:_MAX_TEXT] if "version" in found else version,
            max_output=to_count(found["max_output"]) if "max_output" in found else None,
            attempt=attempt_of(found) if "attempt" in found or "resends" in found else None,
        )

    def tools(
        self,
        span: Span,
        attributes: Mapping[str, Any],
        kind: Kind,
        call: Call | None,
        received_ns: int,
        shape: Shape | None = None,
    ) -> tuple[ToolCall, ...]:
        """The execution of a tool that the span is, or those that the answer of the call asked for."""
        if not self._config.hash_prompts:
            return ()
        if kind is _TOOL:
            _, end_ns = sane_times(span.start_time_unix_nano, span.end_time_unix_nano, received_ns, [])
            return executed(attributes, span.name, end_ns, self._salt)
        answers = (shape or self._shapes.of(attributes)).answers
        if call is None or not answers:
            return ()
        return requested(attributes, answers, call.end_ns, self._salt, self._config.max_json_bytes)


def _tokens(
    found: Mapping[str, Any],
    attributes: Mapping[str, Any],
    details: Details | None,
    dialect: Dialect,
    provider: str,
    operation: str,
    streaming: bool,
    notes: list[str],
    problems: Problems,
) -> Tokens:
    """The provider's own usage object where one hides on the span, completed by the attributes, or those alone."""
    contract = _contract(dialect, attributes, provider, streaming)
    counted = counts_of(found, notes, problems)
    if streaming and dialect.lost_on_stream and 0 in map(counted.get, dialect.lost_on_stream):
        notes.append(f"a zero may be unknown: {dialect.name} loses details of streams")
    if streaming and dialect.estimates and "input" in counted and "cache_read" not in counted:
        notes.append(f"may be an estimate: {dialect.name} counts tokens itself where a stream tells none")
    own = resolve(counted, contract, provider, operation, notes)
    if not _PARTS.isdisjoint(counted) and own.known and _refused(counted, own):
        problems.append(Correction.TOKENS_IMPOSSIBLE)
    if details is None or details.usage is None:
        return own
    counts, shape = read_usage(details.usage, exclusive=details.exclusive)
    hidden = resolve(
        counts,
        Contract(shape.input_excludes_cache, shape.output_excludes_reasoning, shape.reports | contract.reports),
        provider,
        operation,
        notes,
    )
    if not hidden.known:
        return own
    if own != hidden:
        notes.append(
            f"usage completed from the {dialect.name} payload" if own.known else "usage is in the payload only"
        )
    return fill(hidden, own)


def _refused(counted: Mapping[str, int], tokens: Tokens) -> bool:
    """Whether a part was reported that cannot be one."""
    return any(getattr(tokens, name) is None for name in _PARTS.intersection(counted))


def _contract(dialect: Dialect, attributes: Mapping[str, Any], provider: str, streaming: bool) -> Contract:
    key = (
        dialect.name,
        provider,
        streaming,
        bool(dialect.exclusive_unless) and dialect.exclusive_unless in attributes,
        not dialect.reports_if or dialect.reports_if in attributes,
    )
    contract = _contracts.get(key)
    if contract is None:
        if len(_contracts) >= _MAX_CONTRACTS:  # providers' names come from outside
            _contracts.clear()
        contract = _contracts[key] = _contract_of(dialect, *key[1:])
    return contract


_contracts: dict[tuple[str, str, bool, bool, bool], Contract] = {}
_MAX_CONTRACTS: Final = 1_024


def _contract_of(dialect: Dialect, provider: str, streaming: bool, unless: bool, complete: bool) -> Contract:
    excludes: bool | None = False if dialect.inclusive and provider not in dialect.varies else None
    if ("*" in dialect.exclusive or provider in dialect.exclusive) and not unless:
        excludes = True
    reports = dialect.reports if complete else frozenset[str]()
    if streaming:
        reports -= dialect.lost_on_stream
    return Contract(excludes, True if provider in dialect.apart else None, reports)


def _error(span: Span, found: Mapping[str, Any], attributes: Mapping[str, Any], tokens: Tokens) -> str:
    """Why the call failed, empty if it did not."""
    named = to_text(found.get("error"))
    if named:
        return named
    failed = (
        span.status.code == _ERROR
        or attributes.get("langfuse.observation.level") == "ERROR"
        or attributes.get("genkit:state") == "error"
        or ("success" in attributes and str(attributes["success"]).lower() == "false")
    )
    # An exception on a span that has an answer was caught, by a retry for instance.
    if not failed and (tokens is not NO_TOKENS or found.get("response_id")):
        return ""
    for event in span.events:
        if event.name == "exception":
            return to_text(attributes_of(event.attributes).get("exception.type")) or _UNTOLD
    return _UNTOLD if failed else ""


def _finish_reason(value: Any) -> str:
    """In lower case, without the name of the enumeration that Python prints before it (`FinishReason.MAX_TOKENS`)."""
    if type(value) is list and len(value) == 1 and type(value[0]) is str:
        reason = value[0].strip()
    else:
        reason = (to_texts(value) or [""])[0]
    return reason.lower().removeprefix("finishreason.")[:64]


def _first_token(span: Span, found: Mapping[str, Any], dialect: Dialect, problems: Problems) -> int | None:
    """Time to the first token in nanoseconds; emitters give it in seconds, milliseconds or as an event."""
    scale, value = 1e9, to_number(found.get("ttft_s"))
    if value is None:
        scale, value = 1e6, to_number(found.get("ttft_ms"))
    elif dialect.ttft_ms:
        scale = 1e6
    if value is not None:
        if 0 <= value * scale < DAY_NS:
            return round(value * scale)
        problems.append(Correction.DURATION_ABSURD)
        return None
    for event in span.events:
        if event.name in _FIRST_TOKEN_EVENTS and event.time_unix_nano >= span.start_time_unix_nano:
            return event.time_unix_nano - span.start_time_unix_nano
    return None
