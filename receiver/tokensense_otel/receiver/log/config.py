"""The log's configuration."""

from typing import Literal

from pydantic import Field, model_validator

from tokensense_otel.core.config import Config

MIB = 1 << 20
GIB = 1 << 30


class LogConfig(Config):
    """Where accepted requests wait, durable, until the dataflow has accounted them. All sizes are in bytes."""

    kind: Literal["embedded"] = "embedded"
    """`embedded` keeps the log in files under `data_dir`."""

    partitions: int = Field(default=4, ge=1, le=256)
    """How many dataflow workers can share the reading. Fixed when the log is created; it cannot be changed later."""

    max_bytes: int = Field(default=10 * GIB, ge=1 * MIB)
    """The most the log takes on disk, whatever the number of receivers. When it is full, senders are asked to come back
    later; nothing is dropped."""

    segment_bytes: int = Field(default=64 * MIB, ge=4096)
    """Size of a file at which the next one begins. Disk space is given back in whole files."""

    segment_age_s: float = Field(default=600.0, gt=0)
    """Age of a file at which the next one begins, in seconds. Requests, with any prompts in them, are gone from the
    disk this long after the dataflow has accounted them at the latest."""

    commit_bytes: int = Field(default=8 * MIB, ge=1)
    """About how much is made durable with one sync of the disk."""

    max_pending_bytes: int = Field(default=128 * MIB, ge=1)
    """How much may wait for the disk before senders are asked to come back later."""

    @property
    def max_entry_bytes(self) -> int:
        """The largest entry: with it the files that may still grow, which are never deleted, fill at most half."""
        return self.max_bytes // (2 * self.partitions)

    @model_validator(mode="after")
    def _leaves_room(self) -> "LogConfig":
        least = 2 * self.partitions * max(self.segment_bytes, self.commit_bytes)
        if self.max_bytes < least:
            raise ValueError(
                f"max_bytes must be at least 2 x partitions x the larger of segment_bytes and commit_bytes: "
                f"write {least} or more, or make those smaller"
            )
        return self
