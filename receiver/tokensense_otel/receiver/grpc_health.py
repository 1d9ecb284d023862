"""`grpc.health.v1.Health/Check`: what load balancers and Kubernetes ask a gRPC server.

Source: the gRPC health checking protocol. Its messages have one field each, so they are read and written here.
"""

from typing import Any, Final

import grpc
import grpc.aio

from tokensense_otel.receiver.intake import Intake
from tokensense_otel.receiver.otlp.signals import PROTOCOLS

_SERVING: Final = b"\x08\x01"
_NOT_SERVING: Final = b"\x08\x02"
_SERVICES: Final = frozenset(
    # HealthCheckRequest: the service's name in field 1, empty for the whole server.
    {b""} | {b"\n" + bytes([len(name)]) + name for p in PROTOCOLS.values() for name in [p.grpc_service.encode()]}
)


def health_handler(intake: Intake) -> Any:
    """Answers for the server as a whole and for each of OTLP's services; others are NOT_FOUND. No key is asked for."""

    async def check(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        if request not in _SERVICES:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service here")
        return _NOT_SERVING if intake.unready() else _SERVING

    return grpc.method_handlers_generic_handler(
        "grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(check)}
    )
