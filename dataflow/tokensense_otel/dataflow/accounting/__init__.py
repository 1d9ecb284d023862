"""Each model call counted once: from spans' facts to postings on the books."""

from tokensense_otel.dataflow.accounting.changes import Changes
from tokensense_otel.dataflow.accounting.config import AccountingConfig
from tokensense_otel.dataflow.accounting.coverage import Witness
from tokensense_otel.dataflow.accounting.identity import Identities, Twins
from tokensense_otel.dataflow.accounting.ledger import Ledger
from tokensense_otel.dataflow.accounting.metered import MeteredCalls
from tokensense_otel.dataflow.accounting.shards import (
    identity_shard,
    may_have_twin,
    meter_shard,
    trace_shard,
    twin_shard,
)

__all__ = [
    "AccountingConfig",
    "Changes",
    "Identities",
    "Ledger",
    "MeteredCalls",
    "Twins",
    "Witness",
    "identity_shard",
    "may_have_twin",
    "meter_shard",
    "trace_shard",
    "twin_shard",
]
