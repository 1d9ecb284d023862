"""Load at a steady rate from a process of its own: `python -m benchmarks.steady HOST:PORT SPANS_PER_S MINUTES`.

Requests are made once and sent again with other ids and with times of now, which are written over the old ones in
their bytes: making them anew would take more than what is measured. Prints a line a minute: its number, and how many
spans were acknowledged a second.
"""

import http.client
import struct
import sys
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.services import REQUEST_SPANS, service_requests

_TEMPLATES = 20
_HEADERS = {"Content-Type": "application/x-protobuf"}
_ROUND_BYTES = 4


class Template:
    """A request of which ids and times can be written over."""

    def __init__(self, body: bytes) -> None:
        self._body = bytearray(body)
        self._ids: list[int] = []
        """Where four bytes of a trace id are."""
        self._answers: list[int] = []
        """Where eight hexadecimal digits of a response id are."""
        self._times: list[tuple[int, int]] = []
        """Where a time is, and by how much it is before the request's last one."""
        spans = [
            span
            for group in ExportTraceServiceRequest.FromString(body).resource_spans
            for scoped in group.scope_spans
            for span in scoped.spans
        ]
        last_ns = max(span.end_time_unix_nano for span in spans)
        at = 0
        for span in spans:
            at = body.index(span.trace_id, at)
            self._ids.append(at)
            for moment in (span.start_time_unix_nano, span.end_time_unix_nano):
                self._times.append((body.index(struct.pack("<Q", moment), at), last_ns - moment))
            for pair in span.attributes:
                if pair.key == "gen_ai.response.id":
                    self._answers.append(body.index(pair.value.string_value.encode(), at) + len("chatcmpl-"))
            at += len(span.trace_id)

    def again(self, number: int, now_ns: int) -> bytearray:
        """The request as sent for the `number`th time."""
        body = self._body
        marked = number.to_bytes(_ROUND_BYTES, "big")
        for at in self._ids:
            body[at : at + _ROUND_BYTES] = marked
        digits = b"%08x" % number
        for at in self._answers:
            body[at : at + 8] = digits
        for at, before_ns in self._times:
            struct.pack_into("<Q", body, at, now_ns - before_ns)
        return body


def _main(endpoint: str, rate: str, minutes: str) -> None:
    templates = [Template(body) for body in service_requests(_TEMPLATES * REQUEST_SPANS)]
    connection = http.client.HTTPConnection(endpoint, timeout=60)
    interval = REQUEST_SPANS / float(rate)
    began = time.perf_counter()
    number = minute = counted = 0
    while (passed := time.perf_counter() - began) < float(minutes) * 60:
        time.sleep(max(0.0, number * interval - passed))
        body = templates[number % _TEMPLATES].again(number // _TEMPLATES + 1, time.time_ns())
        connection.request("POST", "/v1/traces", bytes(body), _HEADERS)
        response = connection.getresponse()
        response.read()
        number += 1
        if response.status != http.client.OK:
            raise AssertionError(f"answered {response.status}")
        if time.perf_counter() - began >= min((minute + 1) * 60, float(minutes) * 60):
            minute += 1
            taken = time.perf_counter() - began - (minute - 1) * 60
            print(minute, f"{(number - counted) * REQUEST_SPANS / taken:,.0f}", flush=True)
            counted = number
    connection.close()


if __name__ == "__main__":
    _main(*sys.argv[1:])
