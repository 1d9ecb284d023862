"""The same call reported in different traces: counted once, by the best witness, and corrected exactly.

Two stages of one kind. `Identities` joins reports with one response id; `Twins` joins those that no response id gives
away, where a framework's callback and the SDK beneath it share no context.
"""

from tokensense_otel.core.call import Call
from tokensense_otel.dataflow.accounting.joiner import Joiner
from tokensense_otel.dataflow.accounting.sameness import same_response, same_twin
from tokensense_otel.dataflow.accounting.shards import twin_key


class Identities(Joiner):
    """Reports with one response id. Postings without one have no business here."""

    @staticmethod
    def key(call: Call) -> str:
        return f"{call.tenant}\x1f{call.response_id}"

    @staticmethod
    def same(one: Call, two: Call) -> bool:
        return same_response(one, two)


class Twins(Joiner):
    """Reports of which one names no response: same service, same usage, same time. For calls that `may_have_twin`."""

    @staticmethod
    def key(call: Call) -> str:
        return twin_key(call)

    @staticmethod
    def same(one: Call, two: Call) -> bool:
        return same_twin(one, two)
