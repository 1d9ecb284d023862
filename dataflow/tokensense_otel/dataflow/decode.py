"""From entries of the log to facts: parse the protobuf, normalise what it holds, reject what is broken.

Pure but for one thing: an entry on which our own code fails is handed to `quarantine`, so that it is neither lost nor
able to stop the flow.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tokensense_otel.core.tally import Tallies
from tokensense_otel.core.usage import Accounting
from tokensense_otel.dataflow import events, memory
from tokensense_otel.dataflow.facts import MemorySample, MeterPoint, SpanFacts
from tokensense_otel.dataflow.normalise import Normaliser
from tokensense_otel.dataflow.normalise.corrections import Correction, tally_problems
from tokensense_otel.dataflow.normalise.logs import LogNormaliser
from tokensense_otel.dataflow.normalise.metered import MeterNormaliser
from tokensense_otel.dataflow.normalise.wire import WireTraces
from tokensense_otel.receiver.log.entry import Entry, Signal
from tokensense_otel.receiver.log.heartbeat import heartbeat_of
from tokensense_otel.receiver.otlp.utf8 import mend

Quarantine = Callable[[Entry], None]
Request = TypeVar("Request", ExportTraceServiceRequest, ExportLogsServiceRequest, ExportMetricsServiceRequest)


class Decoded(msgspec.Struct):
    """What a batch of entries held. `now_ns` is the newest reception among them."""

    now_ns: int = 0
    spans: list[SpanFacts] = []
    """Facts of spans and of log records."""
    samples: list[MemorySample] = []
    points: list[MeterPoint] = []
    rejected: dict[str, Accounting] = {}
    tallies: Tallies = msgspec.field(default_factory=Tallies)
    """What had to be corrected or refused."""
    since_ns: int = 0
    """The oldest reception among them."""
    heartbeats: dict[str, int] = {}
    """The newest heartbeat of each process of the receiver."""


class Decoder:
    def __init__(self, normaliser: Normaliser, quarantine: Quarantine) -> None:
        self._normaliser = normaliser
        self._logs = LogNormaliser(normaliser)
        self._meters = MeterNormaliser(normaliser)
        self._quarantine = quarantine

    def decode(self, entries: Iterable[Entry]) -> Decoded:
        out = Decoded()
        for entry in entries:
            out.now_ns = max(out.now_ns, entry.received_ns)
            out.since_ns = min(out.since_ns or entry.received_ns, entry.received_ns)
            if not entry.body and (name := heartbeat_of(entry)):
                out.heartbeats[name] = max(entry.received_ns, out.heartbeats.get(name, 0))
                continue
            try:
                self._decode_into(out, entry)
            except DecodeError:
                events.ENTRY_UNREADABLE(signal=entry.signal.value)
                tally_problems(out.tallies, [Correction.REQUEST_UNREADABLE], entry.tenant, "")
                self._quarantine(entry)
            except Exception as error:  # noqa: BLE001 - one entry must not stop the flow, whatever is wrong with it
                events.ENTRY_FAILED(signal=entry.signal.value, error=repr(error))
                tally_problems(out.tallies, [Correction.REQUEST_FAILED], entry.tenant, "")
                self._quarantine(entry)
        return out

    def _decode_into(self, out: Decoded, entry: Entry) -> None:
        if entry.signal is Signal.TRACES:
            try:
                tallies = Tallies()
                spans, rejected = self._spans(WireTraces.FromString(entry.body), entry, tallies)
            except (DecodeError, UnicodeDecodeError):
                # Text that is not UTF-8, most likely, which is mended in the official message.
                tallies = Tallies()
                spans, rejected = self._spans(_parse(ExportTraceServiceRequest, entry, tallies), entry, tallies)
            _take(out, entry, spans, tallies, Accounting(spans=rejected, rejected=rejected))
        elif entry.signal is Signal.LOGS:
            tallies = Tallies()
            logs = _parse(ExportLogsServiceRequest, entry, tallies)
            records, rejected = self._logs.records(
                logs, tenant=entry.tenant, project=entry.project, received_ns=entry.received_ns, tallies=tallies
            )
            _take(out, entry, records, tallies, Accounting(records=rejected, rejected=rejected))
        elif entry.signal is Signal.METRICS:
            metrics = _parse(ExportMetricsServiceRequest, entry, out.tallies)
            out.samples += memory.samples(metrics, tenant=entry.tenant, project=entry.project)
            out.points += self._meters.points(
                metrics,
                tenant=entry.tenant,
                project=entry.project,
                received_ns=entry.received_ns,
                tallies=out.tallies,
            )

    def _spans(self, request: ExportTraceServiceRequest, entry: Entry, tallies: Tallies) -> tuple[list[SpanFacts], int]:
        return self._normaliser.spans(
            request, tenant=entry.tenant, project=entry.project, received_ns=entry.received_ns, tallies=tallies
        )


def _take(out: Decoded, entry: Entry, facts: list[SpanFacts], tallies: Tallies, rejected: Accounting) -> None:
    out.spans += facts
    out.tallies.add(tallies)
    if rejected.rejected:
        out.rejected.setdefault(entry.tenant, Accounting()).add(rejected)


def _parse(kind: type[Request], entry: Entry, tallies: Tallies) -> Request:
    """The receiver keeps a body as it came, so text that is not UTF-8 is mended here once more, and counted."""
    try:
        return kind.FromString(entry.body)
    except DecodeError:
        request = kind.FromString(mend(entry.body, kind.DESCRIPTOR))
    tally_problems(tallies, [Correction.TEXT_NOT_UTF8], entry.tenant, "")
    return request
