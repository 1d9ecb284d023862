import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tokensense_otel.receiver.log.entry import Entry, Signal
from tokensense_otel.service.replay.read import Reader

TRACES_JSON = {
    "resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "ab" * 16, "spanId": "cd" * 8, "name": "chat"}]}]}]
}


def traces() -> bytes:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = bytes.fromhex("ab" * 16), bytes.fromhex("cd" * 8), "chat"
    return request.SerializeToString()


def metrics() -> bytes:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="faas.mem_usage")
    metric.gauge.data_points.add(time_unix_nano=1, as_int=5)
    return request.SerializeToString()


def logs() -> bytes:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=1, severity_text="INFO")
    return request.SerializeToString()


class Refused(list[tuple[str, str]]):
    def __call__(self, where: str, why: str) -> None:
        self.append((where, why))


def read(*paths: Path, max_bytes: int = 1 << 20) -> tuple[list[Entry], Reader, Refused]:
    refused = Refused()
    reader = Reader(refused, max_bytes)
    return list(reader.entries(paths)), reader, refused


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("0001.traces.pb", traces),
        ("traces.pb", traces),
        ("dump.pb", traces),
        ("0001.metrics.pb", metrics),
        ("dump.pb", metrics),
        ("0001.logs.pb", logs),
        ("dump.pb", logs),
        ("0001.traces.pb.gz", lambda: gzip.compress(traces())),
        ("DUMP.PB.GZ", lambda: gzip.compress(metrics())),
    ],
)
def test_a_protobuf_request_is_read_whatever_its_signal(tmp_path: Path, name: str, make: Callable[[], bytes]) -> None:
    """`*.pb` is one request; the signal is in the name, or else found out from the bytes; `.gz` is unpacked."""
    (tmp_path / name).write_bytes(make())
    entries, reader, refused = read(tmp_path / name)
    body = gzip.decompress(make()) if name.lower().endswith(".gz") else make()
    signal = {traces(): Signal.TRACES, metrics(): Signal.METRICS, logs(): Signal.LOGS}[body]
    assert entries == [Entry(signal, "default", "", 0, body)]
    assert (reader.read, refused) == (1, [])


def test_a_json_request_becomes_the_same_entry(tmp_path: Path) -> None:
    """`*.json` is one OTLP/JSON request and gives the entry that its protobuf twin gives."""
    (tmp_path / "request.json").write_text(json.dumps(TRACES_JSON))
    entries, _, _ = read(tmp_path / "request.json")
    assert entries == [Entry(Signal.TRACES, "default", "", 0, traces())]


def test_each_line_of_the_collector_s_file_is_a_request(tmp_path: Path) -> None:
    """`*.jsonl` holds a request a line, signals mixed; a broken line is named with its number and the rest is read."""
    metrics_line = json.dumps({"resourceMetrics": [{"scopeMetrics": []}]})
    lines = [json.dumps(TRACES_JSON), "", "{broken", metrics_line, json.dumps({"other": 1}), json.dumps(TRACES_JSON)]
    (tmp_path / "collector.jsonl").write_text("\n".join(lines))
    entries, reader, refused = read(tmp_path / "collector.jsonl")
    assert [entry.signal for entry in entries] == [Signal.TRACES, Signal.METRICS, Signal.TRACES]
    assert (reader.read, reader.rejected) == (3, 2)
    assert [where for where, _ in refused] == [f"{tmp_path}/collector.jsonl:3", f"{tmp_path}/collector.jsonl:5"]
    assert refused[1][1].startswith("this is no OTLP request; its key has to be one of resourceSpans")


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    """Files of a folder, and of folders in it, come in name order; other files are left alone."""
    (tmp_path / "b.metrics.pb").write_bytes(metrics())
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "2.logs.pb").write_bytes(logs())
    (tmp_path / "a" / "1.traces.pb").write_bytes(traces())
    (tmp_path / "notes.txt").write_text("not a recording")
    entries, reader, _ = read(tmp_path)
    assert [entry.signal for entry in entries] == [Signal.TRACES, Signal.LOGS, Signal.METRICS]
    assert reader.rejected == 0


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("x.pb", b"\xff\xff\xff", "this is no OTLP request of any signal"),
        ("x.pb", b"", "this is no OTLP request of any signal"),
        ("x.traces.pb", b"\xff\xff\xff", "the body is not a protobuf ExportTraceServiceRequest"),
        ("x.json", b"[1]", "this is no OTLP request"),
        ("x.json", b'{"resourceSpans": 5}', "resourceSpans"),
        ("x.json", b'{"resourceSpans": [], "resourceLogs": []}', "this is no OTLP request"),
        ("x.json.gz", b"not gzip", "Not a gzipped file"),
        ("x.json.gz", gzip.compress(b'{"resourceSpans": []}')[:-6], "the compressed data is damaged"),
        ("x.txt", b"hello", "the name says no format"),
        ("x.json.zst", b"(\xb5/\xfd\x04", "damaged"),
    ],
)
def test_what_cannot_be_read_is_named_and_passed_over(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    """A file that is no recording is counted and named with the reason; the next one is read all the same."""
    (tmp_path / name).write_bytes(content)
    (tmp_path / "z.traces.pb").write_bytes(traces())
    entries, reader, refused = read(tmp_path / name, tmp_path / "z.traces.pb")
    assert (len(entries), reader.rejected) == (1, 1)
    assert refused[0][0] == str(tmp_path / name)
    assert why in refused[0][1]


def test_other_json_beside_recordings_is_no_loss(tmp_path: Path) -> None:
    """In a folder, JSON about something else is named and not counted as rejected; asked for by name it is."""
    (tmp_path / "expected.json").write_text('{"gpt-4o": {"calls": 1}}')
    (tmp_path / "0001.traces.pb").write_bytes(traces())
    _, reader, refused = read(tmp_path)
    assert (reader.read, reader.rejected, len(refused)) == (1, 0, 1)
    _, reader, _ = read(tmp_path / "expected.json")
    assert (reader.read, reader.rejected) == (0, 1)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    """A folder without recordings is told, so that a wrong path does not look like no traffic."""
    _, reader, refused = read(tmp_path)
    assert (reader.read, reader.rejected) == (0, 1)
    assert refused == [(str(tmp_path), "the folder holds no .pb, .json, .jsonl files")]


def test_what_unpacks_to_more_than_a_request_is_refused(tmp_path: Path) -> None:
    """A request of just the limit is read; one byte more, packed or not, is refused without unpacking the rest."""
    limit = len(traces())
    (tmp_path / "a.traces.pb").write_bytes(traces())
    (tmp_path / "b.traces.pb.gz").write_bytes(gzip.compress(traces() + b"\0"))
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(bytes(1 << 26)))
    entries, reader, refused = read(tmp_path, max_bytes=limit)
    assert (len(entries), reader.rejected) == (1, 2)
    assert {why for _, why in refused} == {f"it is larger than {limit} bytes; raise receiver.max_request_bytes"}


def test_a_line_that_is_too_long_is_passed_over_whole(tmp_path: Path) -> None:
    """The rest of a line over the limit is skipped, and the next line is read as one."""
    line = json.dumps({"resourceSpans": []})
    long = json.dumps({"resourceSpans": [], "x": "y" * 5000})
    (tmp_path / "a.jsonl").write_text(f"{line}\n{long}\n{line}\n{long}")
    entries, reader, refused = read(tmp_path, max_bytes=len(line) + 1)
    assert (len(entries), reader.rejected) == (2, 2)
    assert [where.rpartition(":")[2] for where, _ in refused] == ["2", "4"]


def test_zstd_is_unpacked_as_it_is_read(tmp_path: Path) -> None:
    """`.zst` of each format is read; damage in it, or a missing end, is named like any other."""
    (tmp_path / "1.traces.pb.zst").write_bytes(zstd.compress(traces()))
    (tmp_path / "2.jsonl.zst").write_bytes(zstd.compress(json.dumps(TRACES_JSON).encode()))
    (tmp_path / "3.json.zst").write_bytes(b"bad")
    (tmp_path / "4.traces.pb.zst").write_bytes(zstd.compress(traces())[:-3])

    entries, _, refused = read(tmp_path)

    assert [entry.body for entry in entries] == [traces(), traces()]
    assert [where.rpartition("/")[2] for where, _ in refused] == ["3.json.zst", "4.traces.pb.zst"]
    assert all(why.startswith("the compressed data is damaged: ") for _, why in refused)
