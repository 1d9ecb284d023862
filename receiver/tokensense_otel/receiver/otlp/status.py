"""One table from an error to what it is on the wire: gRPC code, HTTP status, and when to come back.

Source: OTLP specification 1.11, "Failures" and "OTLP/HTTP Response"; the codes that clients retry are checklist 27 and
52. What we did not foresee is retryable: the sender keeps its data, and an answer of UNKNOWN or 500 would drop it.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from google.protobuf import duration_pb2, json_format
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from tokensense_otel.core.errors import Forbidden, Permanent, Retryable, Throttled, TooLarge, Unauthenticated

MAX_DELAY_S: Final = 5.0
"""Longer delays make the Python SDK drop at once what it has: its budget for all tries is 10 s (checklist 80)."""

_MAX_MESSAGE: Final = 1024


class Refused(Permanent):
    """A request that HTTP itself refuses: an unknown path, method or media type. `status` is 4xx."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Verdict(NamedTuple):
    """An error on the wire. `delay_s` is `None` where the sender must not try again."""

    grpc_code: int
    http_status: int
    message: str
    delay_s: float | None

    def status(self) -> status_pb2.Status:
        """The `google.rpc.Status` that is the body over HTTP and the details over gRPC."""
        status = status_pb2.Status(code=self.grpc_code, message=self.message)
        if self.delay_s is not None:
            _add_detail(status, self.retry_info())
        elif self.grpc_code == code_pb2.INVALID_ARGUMENT:
            violation = error_details_pb2.BadRequest.FieldViolation(description=self.message)
            _add_detail(status, error_details_pb2.BadRequest(field_violations=[violation]))
        return status

    def retry_info(self) -> error_details_pb2.RetryInfo:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int((self.delay_s or 0.0) * 1e9))
        return error_details_pb2.RetryInfo(retry_delay=delay)

    def trailers(self) -> Sequence[tuple[str, bytes]]:
        """gRPC's trailing metadata. RetryInfo goes in twice: the Python SDK reads only the second (checklist 78)."""
        details = ("grpc-status-details-bin", self.status().SerializeToString())
        if self.delay_s is None:
            return (details,)
        return (details, ("google.rpc.retryinfo-bin", self.retry_info().SerializeToString()))

    def json(self) -> bytes:
        return json_format.MessageToJson(self.status(), indent=None).encode()


_TABLE: Final[dict[type[BaseException], tuple[int, int]]] = {
    TooLarge: (code_pb2.RESOURCE_EXHAUSTED, 413),
    Unauthenticated: (code_pb2.UNAUTHENTICATED, 401),
    Forbidden: (code_pb2.PERMISSION_DENIED, 403),
    Permanent: (code_pb2.INVALID_ARGUMENT, 400),
    Throttled: (code_pb2.RESOURCE_EXHAUSTED, 429),
    Retryable: (code_pb2.UNAVAILABLE, 503),
    Exception: (code_pb2.UNAVAILABLE, 503),
}
_HTTP_ONLY: Final = {404: code_pb2.UNIMPLEMENTED, 405: code_pb2.UNIMPLEMENTED}


def verdict(error: Exception) -> Verdict:
    """What `error` is on the wire. The text of an unforeseen error is not shown to the sender."""
    code, http_status = next(_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE)
    if isinstance(error, Refused):
        return Verdict(_HTTP_ONLY.get(error.status, code), error.status, str(error), None)
    message = str(error)[:_MAX_MESSAGE]
    if isinstance(error, Retryable):
        return Verdict(code, http_status, message, min(error.delay_s, MAX_DELAY_S))
    if isinstance(error, Permanent):
        return Verdict(code, http_status, message, None)
    return Verdict(code, http_status, "internal error; nothing was kept, try again", 1.0)


def _add_detail(status: status_pb2.Status, detail: Message) -> None:
    status.details.add().Pack(detail)
