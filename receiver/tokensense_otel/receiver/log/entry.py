"""One entry of the log: a raw OTLP request as it was accepted, with who sent it and when.

The body is always the protobuf `Export…ServiceRequest` (JSON is transcoded by the receiver before the append), so a
reader needs one decoder. `received_ns` is the log's own time: the dataflow's timers run on it, which makes a replay
of the log take the same decisions.
"""

from enum import StrEnum

import msgspec

VERSION = 1


class Signal(StrEnum):
    TRACES = "traces"
    METRICS = "metrics"
    LOGS = "logs"


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A request on the log. `project` is the one that the sender's key belongs to, empty where it has none."""

    signal: Signal
    tenant: str
    project: str
    received_ns: int
    body: bytes
    version: int = VERSION


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


def encode_entry(entry: Entry) -> bytes:
    return _encoder.encode(entry)


def decode_entry(data: bytes | memoryview) -> Entry:
    """The inverse of `encode_entry`.

    Raises:
        msgspec.DecodeError: when `data` is no entry.
    """
    return _decoder.decode(data)
