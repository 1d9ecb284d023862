"""Which shard a trace, an identity or a possible twin belongs to: the same in every process and on every day."""

import zlib

from tokensense_otel.core.call import Call
from tokensense_otel.dataflow.accounting.sameness import size
from tokensense_otel.dataflow.normalise.dialects import is_native, listens

_LISTENERS = "listeners"


_NAMES = tuple(f"{number:04d}" for number in range(256))
"""As many as `DataflowConfig.shards` can be."""


def _name(key: bytes, shards: int) -> str:
    return _NAMES[zlib.crc32(key) % shards]


def trace_shard(trace_id: bytes, shards: int) -> str:
    """The ledger's shard, a fixed-width name, of a trace."""
    return _name(trace_id, shards)


def identity_shard(tenant: str, response_id: str, shards: int) -> str:
    """The shard of `Identities`, a fixed-width name, of a provider's response id."""
    return _name(f"{tenant}\x1f{response_id}".encode(), shards)


def twin_shard(call: Call, shards: int) -> str:
    """The shard of `Twins`, a fixed-width name, of a call that may have a twin."""
    return _name(twin_key(call).encode(), shards)


def meter_shard(tenant: str, service: str, shards: int) -> str:
    """The shard of `MeteredCalls`, a fixed-width name, of what a service sends."""
    return _name(f"{tenant}\x1f{service}".encode(), shards)


def may_have_twin(call: Call) -> bool:
    """Whether another trace may hold a second report of the call that no response id gives away.

    A framework's callback that sets no OpenTelemetry context leaves the SDK's own span at the root of another trace;
    so of two such reports one is a root or names no response. A provider's own SDK may lie beneath the other one's
    span of the request, while that one tells the usage of a stream in a record of its end.
    """
    if not call.tokens.known:
        return call.failed or (listens(call.dialect) and not call.response_id)
    return call.root or not call.response_id or (call.streaming and is_native(call.dialect))


def twin_key(call: Call) -> str:
    """Two reports of one call agree on this: tenant, service and token counts; the model asked for where it failed.

    Those who listen to a framework do not all hear of usage, so that theirs agree on the model only.
    """
    if listens(call.dialect) and not call.response_id:
        return f"{call.tenant}\x1f{call.dimensions.service}\x1f{_LISTENERS}\x1f{call.model}"
    sent, answered = size(call)
    key = f"{call.tenant}\x1f{call.dimensions.service}\x1f{sent}\x1f{answered}"
    return key if call.tokens.known else f"{key}\x1f{call.request_model}"


def is_heard(key: str) -> bool:
    """Whether a `twin_key` is that of what listeners tell of one model."""
    return f"\x1f{_LISTENERS}\x1f" in key
