"""What a body that inflates to a gibibyte costs: an answer, and little memory."""

import sys
from collections.abc import Callable
from typing import Any

import grpc
import httpx2
import pytest

from tests.support.bombs import gzip_bomb, zstd_bomb
from tests.support.otlp_requests import sound_span, trace_request
from tests.support.receiver_process import ReceiverProcess, receiver_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

GIBIBYTE = 1024
MOST_KIB = 40 << 10
BODY = trace_request([sound_span(1)]).SerializeToString()


def post(process: ReceiverProcess, body: bytes, encoding: str) -> int:
    headers = {"content-type": "application/x-protobuf", "content-encoding": encoding}
    url = f"http://{process.endpoints.http}/v1/traces"
    return httpx2.post(url, content=body, headers=headers, trust_env=False, timeout=60).status_code


@pytest.mark.parametrize(("encoding", "make"), [("gzip", gzip_bomb), ("zstd", zstd_bomb)])
def test_a_bomb_over_http_takes_less_than_40_mib(encoding: str, make: Callable[[int], bytes]) -> None:
    """OTLP checklist 39, 40, 76: with the default limit of 64 MiB, 1 GiB inside is 413 and under 40 MiB of memory."""
    bomb = make(GIBIBYTE)
    assert len(bomb) < 1_100_000
    with receiver_process() as process:
        assert post(process, BODY, "identity") == 200
        before = process.rss_kib()
        assert [post(process, bomb, encoding) for _ in range(3)] == [413] * 3
        assert process.peak_kib() - before < MOST_KIB
        assert post(process, BODY, "identity") == 200


def test_a_bomb_over_grpc_is_refused_for_good() -> None:
    """OTLP checklist 10, 13: grpcio stops inflating at the limit, and nobody is asked to send it again."""
    with (
        receiver_process(max_request_bytes=16 << 20) as process,
        grpc.insecure_channel(process.endpoints.grpc, options=[("grpc.max_send_message_length", -1)]) as channel,
    ):
        unary: Any = channel.unary_unary  # without serializers, which the stubs do not know
        export = unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        export(BODY)
        before = process.rss_kib()
        with pytest.raises(grpc.RpcError) as refused:
            export(bytes(256 << 20), compression=grpc.Compression.Gzip)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        trailers: Any = refused.value.trailing_metadata()
        assert "google.rpc.retryinfo-bin" not in dict(trailers)
        assert process.peak_kib() - before < MOST_KIB
        export(BODY)
