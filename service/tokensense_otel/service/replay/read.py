"""Recordings on disk → entries as the receiver would have put them on the log.

    *.pb      one protobuf `Export…ServiceRequest`; the signal from the name (`0001.traces.pb`), else tried
    *.json    one OTLP/JSON request
    *.jsonl   a request a line: what the Collector's file exporter writes
    …gz, …zst the same, compressed

What cannot be read is named and passed over; everything else is read. A line or file is a unit: it counts whole or
not at all.
"""

import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO, Any

import orjson
from backports import zstd

from tokensense_otel.core.call import DEFAULT_TENANT
from tokensense_otel.core.errors import TokenSenseError
from tokensense_otel.receiver.log.entry import Entry, Signal
from tokensense_otel.receiver.otlp.json import decode_json
from tokensense_otel.receiver.otlp.protobuf import decode_protobuf
from tokensense_otel.receiver.otlp.signals import PROTOCOLS
from tokensense_otel.receiver.otlp.validate import validate

FORMATS = (".pb", ".json", ".jsonl")
COMPRESSIONS = (".gz", ".zst")


class Unreadable(TokenSenseError):
    """A file, or a line of one, that holds no recording; the message says why."""


class Foreign(Unreadable):
    """Sound JSON about something else."""


@dataclass
class Reader:
    """Reads entries from paths. `on_refused` is told each thing that was passed over: where, and why."""

    on_refused: Callable[[str, str], None]
    max_bytes: int
    """The largest request, after decompression: a small file may unpack to anything."""
    read: int = field(default=0, init=False)
    """Requests read."""
    rejected: int = field(default=0, init=False)
    """Files and lines passed over, other than files beside the recordings of a folder."""

    def entries(self, paths: Iterable[Path]) -> Iterator[Entry]:
        """The entries of files, and of the recordings in folders, in the order of their names."""
        for path in paths:
            for file in self._files(path):
                yield from self._file(file, asked_for=file == path)

    def _files(self, path: Path) -> list[Path]:
        if not path.is_dir():
            return [path]
        files = sorted(file for file in path.rglob("*") if file.is_file() and _formats(file)[0])
        if not files:
            self.refuse(str(path), f"the folder holds no {', '.join(FORMATS)} files")
        return files

    def _file(self, path: Path, *, asked_for: bool) -> Iterator[Entry]:
        kind, compression = _formats(path)
        try:
            if not kind:
                raise Unreadable(
                    f"the name says no format; it has to end in {', '.join(FORMATS)}, or in those with .gz"
                )
            with _open(path, compression) as stream:
                if kind == ".jsonl":
                    yield from self._lines(path, stream)
                else:
                    request = _protobuf if kind == ".pb" else _json
                    entry = request(self._whole(stream), path.name)
                    self.read += 1
                    yield entry
        except OSError as error:
            self.refuse(str(path), error.strerror or str(error))
        except (EOFError, zlib.error) as error:
            self.refuse(str(path), f"the compressed data is damaged: {error}")
        except Foreign as error:
            # A folder may hold other things beside recordings; a file that was asked for may not be one.
            if asked_for:
                self.rejected += 1
            self.on_refused(str(path), str(error))
        except TokenSenseError as error:
            self.refuse(str(path), str(error))

    def _lines(self, path: Path, stream: IO[bytes]) -> Iterator[Entry]:
        for number in count(1):
            line = stream.readline(self.max_bytes + 1)
            if not line:
                return
            if not line.strip():
                continue
            try:
                if len(line) > self.max_bytes:
                    _skip_line(stream, line)
                    raise self._too_large()
                entry = _json(line, path.name)
            except TokenSenseError as error:
                self.refuse(f"{path}:{number}", str(error))
                continue
            self.read += 1
            yield entry

    def _whole(self, stream: IO[bytes]) -> bytes:
        body = stream.read(self.max_bytes + 1)
        if len(body) > self.max_bytes:
            raise self._too_large()
        return body

    def _too_large(self) -> Unreadable:
        return Unreadable(f"it is larger than {self.max_bytes} bytes; raise receiver.max_request_bytes")

    def refuse(self, where: str, why: str) -> None:
        """Pass something over."""
        self.rejected += 1
        self.on_refused(where, why)


def _formats(path: Path) -> tuple[str, str]:
    """(`.pb`, `.json`, `.jsonl` or nothing, compression or nothing) of a file name."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSIONS else ""
    kind = suffixes[-1] if suffixes and suffixes[-1] in FORMATS else ""
    return kind, compression


def _open(path: Path, compression: str) -> IO[bytes]:
    if compression == ".gz":
        return io.BufferedReader(gzip.GzipFile(path))
    if compression == ".zst":
        return io.BufferedReader(_Unzstd(path))
    return path.open("rb")


class _Unzstd(io.RawIOBase):
    """A stream whose own kind of error becomes ours."""

    def __init__(self, path: Path) -> None:
        self._stream = zstd.open(path, "rb")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return self._stream.readinto(buffer)
        except (zstd.ZstdError, EOFError) as error:
            raise Unreadable(f"the compressed data is damaged: {error}") from None

    def close(self) -> None:
        self._stream.close()
        super().close()


def _skip_line(stream: IO[bytes], line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = stream.readline(1 << 20)


def _json(body: bytes, name: str) -> Entry:
    """A request in OTLP/JSON; its one top-level key says which signal it is."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"this is not JSON: {error}") from None
    keys = document if isinstance(document, dict) else {}
    signals = [
        signal
        for signal, protocol in PROTOCOLS.items()
        if protocol.json_key in keys or _snake(protocol.json_key) in keys
    ]
    if not signals:
        signals = [signal for signal in Signal if keys == {} and f".{signal.value}." in name and document == {}]
    if len(signals) != 1:
        wanted = ", ".join(protocol.json_key for protocol in PROTOCOLS.values())
        raise Foreign(f"this is no OTLP request; its key has to be one of {wanted}")
    return _entry(signals[0], decode_json(signals[0], body).SerializeToString())


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _protobuf(body: bytes, name: str) -> Entry:
    named = [signal for signal in Signal if f".{signal.value}." in f".{name}"]
    if named:
        decode_protobuf(named[0], body)
        return _entry(named[0], body)
    for signal in Signal:
        if _is_request(signal, body):
            return _entry(signal, body)
    raise Unreadable("this is no OTLP request of any signal; name it such as 0001.traces.pb if it is one")


def _is_request(signal: Signal, body: bytes) -> bool:
    """Whether the bytes are a sound request of this signal: a parser takes one signal for another."""
    try:
        found = validate(decode_protobuf(signal, body))
    except TokenSenseError:
        return False
    return found.kept > 0 and not found.rejected


def _entry(signal: Signal, body: bytes) -> Entry:
    # Recordings have no time of reception; the runner goes by the times within.
    return Entry(signal, DEFAULT_TENANT, "", 0, body)
