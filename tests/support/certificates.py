"""Certificates of a throw-away authority, in files as a server is given them."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import trustme


class Files(NamedTuple):
    """Paths of a certificate, its key and the authority that signed it."""

    cert: Path
    key: Path
    ca: Path


def issue(
    authority: trustme.CA,
    folder: Path,
    name: str = "server",
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Files:
    """A new certificate for this machine, written over an older one of the same name."""
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(*(folder / f"{name}.{kind}.pem" for kind in ("cert", "key", "ca")))
    leaf = authority.issue_cert("localhost", "127.0.0.1", common_name=name, not_before=since, not_after=until)
    files.cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    files.key.write_bytes(leaf.private_key_pem.bytes())
    files.ca.write_bytes(authority.cert_pem.bytes())
    return files
