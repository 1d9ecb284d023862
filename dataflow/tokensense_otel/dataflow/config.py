"""Configuration of the dataflow's engine."""

from pydantic import Field

from tokensense_otel.core.config import Config
from tokensense_otel.dataflow.accounting.config import AccountingConfig


class DataflowConfig(Config):
    epoch_interval_s: float = Field(default=10.0, gt=0, le=60)
    """Seconds between two recovery points: what a crash re-reads at most, and how often state is written."""
    batch_bytes: int = Field(default=1 << 20, ge=1 << 10, le=64 << 20)
    """About how much of the log one activation reads."""
    idle_wait_ms: int = Field(default=20, ge=1, le=1000)
    """Milliseconds until an empty log is looked at again."""
    drain_s: float = Field(default=5.0, ge=0, le=300)
    """Seconds for which a stop goes on reading what is already on the log; the rest is read after the next start."""
    shards: int = Field(default=64, ge=1, le=256)
    """Keys over which each stage's state is spread. Fixed for the life of a recovery folder."""
    recovery_partitions: int = Field(default=8, ge=1, le=64)
    """Files of the recovery store: the most workers that can ever share it. Fixed once it is made."""
    attribution_wait_s: float = Field(default=15.0, ge=0, le=600)
    """Seconds for which the rules wait for the team of a call whose root span may still name it; 0 judges at once."""
    accounting: AccountingConfig = AccountingConfig()
    """How long traces stay open and resends are remembered."""
