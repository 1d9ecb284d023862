"""OTLP/protobuf: bytes → request. Unknown fields are kept and ignored, as protobuf does (OTLP checklist 5).

Text that is not UTF-8 is mended, so whoever reads the bytes later has to decode them here as well.
"""

from google.protobuf.message import DecodeError

from tokensense_otel.core.errors import Permanent
from tokensense_otel.receiver.log.entry import Signal
from tokensense_otel.receiver.otlp.signals import PROTOCOLS, Request
from tokensense_otel.receiver.otlp.utf8 import mend


def decode_protobuf(signal: Signal, body: bytes) -> Request:
    """Decode an `Export…ServiceRequest`.

    Raises:
        Permanent: when `body` is not one.
    """
    protocol = PROTOCOLS[signal]
    try:
        return protocol.request.FromString(body)
    except DecodeError:
        pass
    try:
        return protocol.request.FromString(mend(body, protocol.request.DESCRIPTOR))
    except DecodeError as error:
        raise Permanent(f"the body is not a protobuf {protocol.request.DESCRIPTOR.name}: {error}") from error
