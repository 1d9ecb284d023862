"""Bodies that are small on the wire and large inside."""

import zlib

from backports import zstd


def gzip_bomb(mib: int) -> bytes:
    """`mib` MiB of zeros, about a thousandth of that in size."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(mib)) + packer.flush()


def zstd_bomb(mib: int) -> bytes:
    """The same in zstd, which packs zeros far better still."""
    packer = zstd.ZstdCompressor()
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(mib)) + packer.flush()
