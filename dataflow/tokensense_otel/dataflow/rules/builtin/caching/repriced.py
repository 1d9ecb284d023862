"""What a call would have cost, had its prompt come from a cache."""

import msgspec

from tokensense_otel.core.call import Call, Cost
from tokensense_otel.dataflow.pricing import Catalogue


def all_read(call: Call, catalogue: Catalogue) -> Cost:
    """With the whole input read from the provider's prompt cache; no cheaper than before where that has no price."""
    tokens = call.tokens
    read = msgspec.structs.replace(tokens, cache_read=tokens.input, cache_write=0, cache_write_1h=0)
    return catalogue.cost(msgspec.structs.replace(call, tokens=read))


def unwritten(call: Call, catalogue: Catalogue) -> Cost:
    """With what was written to the cache sent as plain input instead."""
    plain = msgspec.structs.replace(call.tokens, cache_write=0, cache_write_1h=0)
    return catalogue.cost(msgspec.structs.replace(call, tokens=plain))
