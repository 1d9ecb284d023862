"""The requests of a capture as an exporter, or a Collector behind it, may put them on the wire."""

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.captures import CAPTURES, spans_of

Request = ExportTraceServiceRequest | ExportLogsServiceRequest | ExportMetricsServiceRequest
Chance = random.Random
T = TypeVar("T")

_REQUESTS: Mapping[str, type[Request]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
_NESTED: Mapping[str, tuple[str, str, str]] = {
    "traces": ("resource_spans", "scope_spans", "spans"),
    "logs": ("resource_logs", "scope_logs", "log_records"),
    "metrics": ("resource_metrics", "scope_metrics", "metrics"),
}


class Sent(NamedTuple):
    """One request; `signal` is `traces`, `logs` or `metrics`."""

    signal: str
    request: Request

    @property
    def spans(self) -> int:
        return sum(1 for _ in spans_of(self.request)) if isinstance(self.request, ExportTraceServiceRequest) else 0


def recorded(folder: str) -> list[Sent]:
    """Everything that was exported, in order of arrival."""
    paths = sorted((CAPTURES / folder).glob("*.pb"))
    signals = [(path, path.name.split(".")[1]) for path in paths]
    return [Sent(signal, _REQUESTS[signal].FromString(path.read_bytes())) for path, signal in signals]


def as_of(everything: list[Sent], now_ns: int) -> list[Sent]:
    """The same, with every time moved so that the last is `now_ns`: metrics of yesterday are too late for anybody."""
    moved = [Sent(signal, type(request).FromString(request.SerializeToString())) for signal, request in everything]
    times = [each for sent in moved for each in _times(sent.request)]
    later = now_ns - max(getattr(holder, name) for holder, name in times)
    for holder, name in times:
        setattr(holder, name, getattr(holder, name) + later)
    return moved


def _times(message: Message) -> Iterator[tuple[Message, str]]:
    """Every field of a message, and of all in it, that is a time and is set."""
    for field, value in message.ListFields():
        if field.name.endswith("time_unix_nano"):
            yield message, field.name
        elif field.message_type is not None:
            for part in value if field.is_repeated else [value]:
                yield from _times(part)


def singly(everything: list[Sent]) -> list[Sent]:
    """One request for each span, log record and metric, each with its resource and its scope."""
    return [Sent(signal, one) for signal, request in everything for one in _taken_apart(signal, request)]


def _taken_apart(signal: str, request: Any) -> Iterator[Request]:
    resources, scopes, items = _NESTED[signal]
    for resource in getattr(request, resources):
        for scope in getattr(resource, scopes):
            for item in getattr(scope, items):
                one = _REQUESTS[signal]()
                group = getattr(one, resources).add(resource=resource.resource, schema_url=resource.schema_url)
                getattr(group, scopes).add(**{"scope": scope.scope, "schema_url": scope.schema_url, items: [item]})
                yield one


def whole(everything: list[Sent], chance: Chance) -> list[Sent]:
    """As it was exported."""
    return everything


def one_by_one(everything: list[Sent], chance: Chance) -> list[Sent]:
    """Each span, record and metric in a request of its own, in any order."""
    return shuffled(singly(everything), chance)


def in_batches(everything: list[Sent], chance: Chance) -> list[Sent]:
    """In any order and in batches of random sizes, as a Collector's batch processor would."""
    batches: list[Sent] = []
    for signal in _REQUESTS:
        left = shuffled([sent.request for sent in singly(everything) if sent.signal == signal], chance)
        while left:
            size = chance.randint(1, 6)
            batch = _REQUESTS[signal]()
            for request in left[:size]:
                batch.MergeFrom(request)  # type: ignore[arg-type]  # of one signal, so of one type
            batches.append(Sent(signal, batch))
            left = left[size:]
    return shuffled(batches, chance)


def twice(everything: list[Sent], chance: Chance) -> list[Sent]:
    """Every request again, somewhere before or after its first time."""
    return shuffled(everything + everything, chance)


ARRANGEMENTS: Mapping[str, Callable[[list[Sent], Chance], list[Sent]]] = {
    "whole": whole,
    "one_by_one": one_by_one,
    "in_batches": in_batches,
    "twice": twice,
}


def shuffled(items: list[T], chance: Chance) -> list[T]:
    return chance.sample(items, len(items))
