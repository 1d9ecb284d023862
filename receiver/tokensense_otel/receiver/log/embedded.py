"""The embedded log: a folder of segment files, one writer a partition, any number of readers in other processes.

Delivery: what `append` acknowledged is durable and is read at least once, in order within its partition.
"""

from pathlib import Path

from tokensense_otel.core.component import Clock, system_clock
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.reader import EmbeddedReader
from tokensense_otel.receiver.log.share import WHOLE, Share
from tokensense_otel.receiver.log.writer import EmbeddedWriter


class EmbeddedLog:
    """Gives the two sides of the log in `directory` (the log's own folder, created when missing)."""

    def __init__(self, config: LogConfig, directory: Path, clock: Clock = system_clock) -> None:
        self._config = config
        self._directory = directory
        self._clock = clock

    def writer(self, share: Share = WHOLE, wait_s: float = 0.0) -> EmbeddedWriter:
        """The writing side of this process's share; nothing is opened before its `start`.

        `wait_s` is how long `start` waits for a predecessor that is just stopping.
        """
        return EmbeddedWriter(self._config, self._directory, self._clock, share, wait_s)

    def reader(self) -> EmbeddedReader:
        """The reading side.

        Raises:
            ConfigError: when the folder cannot be used, or has another number of partitions than configured.
        """
        return EmbeddedReader(self._config, self._directory)
