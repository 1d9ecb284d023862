"""One table from errors to the wire."""

import json

import pytest
from google.rpc import error_details_pb2, status_pb2

from tokensense_otel.core import errors
from tokensense_otel.core.errors import (
    ConfigError,
    Forbidden,
    Permanent,
    Retryable,
    Throttled,
    TokenSenseError,
    TooLarge,
    Unauthenticated,
)
from tokensense_otel.receiver.log.entry import Signal
from tokensense_otel.receiver.otlp.responses import response, to_json
from tokensense_otel.receiver.otlp.status import MAX_DELAY_S, Refused, Verdict, verdict

RETRYABLE_HTTP = {429, 502, 503, 504}
RETRYABLE_GRPC = {1, 4, 10, 11, 14, 15}
RESOURCE_EXHAUSTED = 8

TABLE = {
    Permanent: (3, 400),
    TooLarge: (8, 413),
    Unauthenticated: (16, 401),
    Forbidden: (7, 403),
    Retryable: (14, 503),
    Throttled: (8, 429),
    ConfigError: (14, 503),
}


def clients_retry(answer: Verdict) -> tuple[bool, bool]:
    """What a client that keeps to the specification does with an answer, over gRPC and over HTTP."""
    over_grpc = answer.grpc_code in RETRYABLE_GRPC or (
        answer.grpc_code == RESOURCE_EXHAUSTED and answer.delay_s is not None
    )
    return over_grpc, answer.http_status in RETRYABLE_HTTP


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)
def test_each_error_has_its_codes(kind: type[TokenSenseError]) -> None:
    """OTLP checklist 13, 25, 26, 40, 52, 53, 54, 70, 94: code and status of every error that we raise."""
    answer = verdict(kind("why"))

    assert (answer.grpc_code, answer.http_status) == TABLE[kind]


@pytest.mark.parametrize("kind", [*TABLE, ValueError, OSError], ids=lambda kind: kind.__name__)
def test_nobody_is_told_internal_or_unknown(kind: type[Exception]) -> None:
    """OTLP checklist 69, 79: some senders drop on these and some repeat what was kept, so they are never answered."""
    assert verdict(kind("why")).grpc_code not in {2, 13}
    assert verdict(kind("why")).http_status != 500


def test_no_error_is_without_a_row() -> None:
    """An error class that is added to the core has to be added here."""
    known = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TokenSenseError)}

    assert known - {TokenSenseError} == set(TABLE)


@pytest.mark.parametrize("error", [Retryable("x"), Throttled("x"), ValueError("a bug"), OSError("a disk")])
def test_what_may_be_tried_again_is_tried_again(error: Exception) -> None:
    """OTLP checklist 27, 52, 69: clients keep the data, also when the error is one nobody foresaw."""
    assert clients_retry(verdict(error)) == (True, True)


@pytest.mark.parametrize(
    "error", [Permanent("x"), TooLarge("x"), Unauthenticated("x"), Forbidden("x"), Refused(415, "x"), Refused(404, "x")]
)
def test_what_is_permanent_is_not_tried_again(error: Exception) -> None:
    """OTLP checklist 13, 27, 52: clients do not repeat what would be refused again."""
    answer = verdict(error)

    assert clients_retry(answer) == (False, False)
    assert [name for name, _ in answer.trailers()] == ["grpc-status-details-bin"]


def test_the_text_of_an_unforeseen_error_stays_inside() -> None:
    """OTLP checklist 101: an internal message may hold anything, so senders do not see it."""
    assert "secret" not in verdict(ValueError("secret")).message


def test_the_delay_is_in_both_trailers() -> None:
    """OTLP checklist 25, 28, 78: RetryInfo in the status details and, for the Python SDK, on its own."""
    trailers = dict(verdict(Retryable("busy", delay_s=1.5)).trailers())

    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    inner = error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(inner)
    outer = error_details_pb2.RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"])
    assert inner == outer
    assert outer.retry_delay.ToTimedelta().total_seconds() == 1.5


def test_a_delay_never_makes_an_sdk_give_up() -> None:
    """OTLP checklist 29, 80: whatever delay was asked for, at most 5 s are told."""
    assert verdict(Retryable("x", delay_s=4.9)).delay_s == 4.9
    assert verdict(Retryable("x", delay_s=3600)).delay_s == MAX_DELAY_S == 5


def test_bad_input_carries_bad_request() -> None:
    """OTLP checklist 26, 53: the details hold google.rpc.BadRequest, in protobuf and in JSON."""
    answer = verdict(Permanent("spans[0].name: expected a string"))

    found = error_details_pb2.BadRequest()
    assert answer.status().details[0].Unpack(found)
    assert found.field_violations[0].description == "spans[0].name: expected a string"
    assert json.loads(answer.json()) == {
        "code": 3,
        "message": "spans[0].name: expected a string",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"description": "spans[0].name: expected a string"}],
            }
        ],
    }


def test_long_messages_are_cut() -> None:
    """OTLP checklist 16, 17, 42: an answer stays small however long the reason is."""
    assert len(verdict(Permanent("x" * 10_000)).message) == 1024
    assert len(response(Signal.TRACES, 1, "x" * 10_000).partial_success.error_message) == 1024


@pytest.mark.parametrize("signal", list(Signal))
def test_full_success_is_an_empty_message(signal: Signal) -> None:
    """OTLP checklist 18, 19, 43, 44, 72: no bytes in protobuf, `{}` in JSON, partial_success unset."""
    answer = response(signal, 0, "")

    assert not answer.HasField("partial_success")
    assert (answer.SerializeToString(), to_json(answer)) == (b"", b"{}")


@pytest.mark.parametrize(
    ("signal", "field"),
    [
        (Signal.TRACES, "rejectedSpans"),
        (Signal.METRICS, "rejectedDataPoints"),
        (Signal.LOGS, "rejectedLogRecords"),
    ],
)
def test_partial_success_says_how_many_and_why(signal: Signal, field: str) -> None:
    """OTLP checklist 20, 21, 22, 46, 47, 63: the count of the signal's own items, as a string in JSON."""
    assert json.loads(to_json(response(signal, 3, "why"))) == {"partialSuccess": {field: "3", "errorMessage": "why"}}
