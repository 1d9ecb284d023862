"""State as few bytes: what is kept of one trace looks much like what is kept of the next.

Pieces of a shard's state are packed one by one, so that what does not change need not be packed again, against a
dictionary made of earlier pieces: zstd then takes a seventh of the bytes, in a microsecond or two. Dictionaries are in
the state. A new one is made now and then, since traffic changes; an old one is kept as long as what it packed.
"""

from collections.abc import Iterable
from typing import Final

import msgspec
from backports import zstd

_DICTIONARY_BYTES: Final = 8_192
_PIECES: Final = 65_536
"""Pieces that are packed with one dictionary."""
_OPTIONS: Final[dict[int, int]] = {
    zstd.CompressionParameter.compression_level: -1,
    zstd.CompressionParameter.checksum_flag: 0,
}
_FRAME: Final = zstd.ZstdCompressor.FLUSH_FRAME
PLAIN: Final = -1
"""The dictionary of what is not packed."""


class PackerState(msgspec.Struct, array_like=True):
    current: int = PLAIN
    packed: int = 0
    dictionaries: dict[int, bytes] = {}


class Packer:
    """Packs pieces, each of which then goes with the number of its dictionary; `PLAIN` where there was none yet."""

    def __init__(self, state: PackerState | None = None) -> None:
        state = state or PackerState()
        self._current = state.current
        self._packed = state.packed
        self._dictionaries = {
            number: zstd.ZstdDict(content, is_raw=True) for number, content in state.dictionaries.items()
        }
        self._compressor = self._make()

    def pack(self, piece: bytes) -> tuple[int, bytes]:
        """The dictionary's number, and the piece packed with it."""
        if self._compressor is None:
            return PLAIN, piece
        self._packed += 1
        return self._current, self._compressor.compress(piece, _FRAME)

    def unpack(self, dictionary: int, packed: bytes) -> bytes:
        """The piece.

        Raises:
            KeyError: when the dictionary is not among those that are kept.
        """
        if dictionary == PLAIN:
            return packed
        return zstd.decompress(packed, zstd_dict=self._dictionaries[dictionary].as_digested_dict)

    @property
    def ready(self) -> bool:
        """Whether there is a dictionary; until there is, what is to be packed can wait, since it is little."""
        return self._compressor is not None

    @property
    def wants_samples(self) -> bool:
        """Whether it is time for a new dictionary."""
        return self._compressor is None or self._packed >= _PIECES

    def learn(self, pieces: Iterable[bytes]) -> None:
        """Make a dictionary of the first of these pieces, unless they are too few for one."""
        content = bytearray()
        for piece in pieces:
            content += piece
            if len(content) >= _DICTIONARY_BYTES:
                self._current += 1
                self._dictionaries[self._current] = zstd.ZstdDict(bytes(content[:_DICTIONARY_BYTES]), is_raw=True)
                self._compressor = self._make()
                self._packed = 0
                return

    def keep(self, used: Iterable[int]) -> None:
        """Forget the dictionaries that nothing is packed with any more: all but those of `used` and the one at work."""
        if len(self._dictionaries) > 1:
            for number in self._dictionaries.keys() - set(used) - {self._current}:
                del self._dictionaries[number]

    def state(self) -> PackerState:
        return PackerState(
            self._current,
            self._packed,
            {number: dictionary.dict_content for number, dictionary in self._dictionaries.items()},
        )

    def _make(self) -> zstd.ZstdCompressor | None:
        dictionary = self._dictionaries.get(self._current)
        if dictionary is None:
            return None
        return zstd.ZstdCompressor(options=_OPTIONS, zstd_dict=dictionary.as_digested_dict)
