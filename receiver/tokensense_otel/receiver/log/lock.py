"""Who may write: one process holds each partition, and notices when the folder it holds is not the log's any more."""

import os
from collections.abc import Sequence
from pathlib import Path

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.core.locks import take_lock
from tokensense_otel.receiver.log.files import ensure_layout, partition_names


class FolderLock:
    """The locks on `own` partitions in `directory`, which is made with `partitions` when it is missing."""

    def __init__(self, directory: Path, partitions: int, own: Sequence[str] | None = None) -> None:
        self._directory = directory
        self._partitions = partitions
        self._paths = [directory / f"{name}.lock" for name in own or partition_names(partitions)]
        self._handles: list[int] = []
        self._held: os.stat_result | None = None
        self._folder: os.stat_result | None = None
        self._parent: os.stat_result | None = None

    def acquire(self, wait_s: float = 0.0) -> None:
        """Take the locks; `wait_s` is how long a predecessor that is just stopping is waited for.

        Raises:
            ConfigError: another process holds one, or the folder cannot be used.
        """
        ensure_layout(self._directory, self._partitions)
        handles: list[int] = []
        try:
            # Extended one by one, so that those that could be opened are closed when the next cannot.
            handles.extend(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) for path in self._paths)
            free = all(take_lock(handle, wait_s=wait_s) for handle in handles)
        except OSError as error:
            _close(handles)
            raise ConfigError(f"log: {self._directory} cannot be written: {error}") from error
        if not free:
            _close(handles)
            raise ConfigError(f"log: another receiver is writing to {self._directory}; stop it or use another data_dir")
        self.release()
        self._handles, self._held = handles, os.fstat(handles[0])
        self._folder, self._parent = self._directory.stat(), self._directory.parent.stat()

    def is_held(self) -> bool:
        """Whether whoever comes to `directory` finds it locked by us. One call to the system: fit for each commit."""
        if self._held is None:
            return False
        try:
            return os.path.samestat(self._paths[0].stat(), self._held)
        except OSError:
            return False

    def regain(self) -> bool:
        """Take the locks again after the folder was lost; `True` when the folder had to be made anew.

        Only what was deleted or moved away is made anew. A folder on another disk than before, or beneath another
        parent, is a volume that is not mounted: what would be written there would vanish when it is again.

        Raises:
            ConfigError: another process holds one, or the folder cannot be used.
            OSError: the folder is not there now.
        """
        parent, before = self._directory.parent.stat(), self._folder
        if before is None or self._parent is None or not os.path.samestat(parent, self._parent):
            raise FileNotFoundError(f"{self._directory} is not where it was; is its volume mounted?")
        if self._directory.exists() and self._directory.stat().st_dev != before.st_dev:
            raise FileNotFoundError(f"{self._directory} is on another disk than before; is its volume mounted?")
        self.acquire()
        return not os.path.samestat(before, self._directory.stat())

    def release(self) -> None:
        _close(self._handles)
        self._handles, self._held = [], None


def _close(handles: list[int]) -> None:
    for handle in handles:
        os.close(handle)
