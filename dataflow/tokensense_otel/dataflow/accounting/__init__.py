"""Each model call counted once: from spans' facts to postings on the books."""

from tokensense_otel.dataflow.accounting.changes import Changes
from tokensense_otel.dataflow.accounting.config import AccountingConfig
from tokensense_otel.dataflow.accounting.identity import Identities, Twins
from tokensense_otel.dataflow.accounting.ledger import Ledger
from tokensense_otel.dataflow.accounting.shards import identity_shard, may_have_twin, trace_shard, twin_shard

__all__ = [
    "AccountingConfig",
    "Changes",
    "Identities",
    "Ledger",
    "Twins",
    "identity_shard",
    "may_have_twin",
    "trace_shard",
    "twin_shard",
]
