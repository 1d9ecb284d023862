"""What all snapshots of state have in common: an array in msgpack whose first element is the version of its layout."""

import msgspec


class _Head(msgspec.Struct, array_like=True):
    version: int


_decoder = msgspec.msgpack.Decoder(_Head)


def check_version(snapshot: bytes, reads: int, what: str) -> None:
    """Look at the version alone, since the rest may have any layout; `what` the snapshot is of, for the message.

    Raises:
        ValueError: when it is not the version that `reads` names.
    """
    version = _decoder.decode(snapshot).version
    if version != reads:
        raise ValueError(f"a snapshot of {what} has version {version}; this version reads {reads}")
