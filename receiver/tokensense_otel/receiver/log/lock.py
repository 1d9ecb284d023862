"""Who may write: one process holds the log's folder, and notices when it is not the folder any more that it holds."""

import fcntl
import os
from pathlib import Path

from tokensense_otel.core.errors import ConfigError
from tokensense_otel.receiver.log.files import ensure_layout


class FolderLock:
    """The lock on `directory`, which is made with `partitions` when it is missing."""

    def __init__(self, directory: Path, partitions: int) -> None:
        self._directory = directory
        self._path = directory / "lock"
        self._partitions = partitions
        self._handle: int | None = None
        self._folder: os.stat_result | None = None
        self._parent: os.stat_result | None = None

    def acquire(self) -> None:
        """Raises: ConfigError: another process holds it, or the folder cannot be used."""
        ensure_layout(self._directory, self._partitions)
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"log: {self._directory} cannot be written: {error}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise ConfigError(
                f"log: another receiver is writing to {self._directory}; stop it or use another data_dir"
            ) from error
        self.release()
        self._handle = handle
        self._folder, self._parent = self._directory.stat(), self._directory.parent.stat()

    def is_held(self) -> bool:
        """Whether whoever comes to `directory` finds it locked by us. Two calls to the system: fit for each commit."""
        if self._handle is None:
            return False
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._handle))
        except OSError:
            return False

    def regain(self) -> bool:
        """Take the lock again after the folder was lost; `True` when the folder had to be made anew.

        Only what was deleted or moved away is made anew. A folder on another disk than before, or beneath another
        parent, is a volume that is not mounted: what would be written there would vanish when it is again.

        Raises:
            ConfigError: another process holds it, or the folder cannot be used.
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
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
