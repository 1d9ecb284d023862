"""Files that somebody replaces while we run: certificates that are renewed, keys that are rotated."""

from pathlib import Path


class Watched:
    """Says when a file is another one than at the last look. A look is one `stat` a file, so it may be taken often."""

    def __init__(self, *paths: Path) -> None:
        self._paths = paths
        self._seen: list[tuple[int, int, int] | None] | None = None

    def changed(self) -> bool:
        """True at the first look, and when a file was written, replaced (also behind a link), or is gone since."""
        found = [_identity(path) for path in self._paths]
        changed = found != self._seen
        self._seen = found
        return changed


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
