"""From when and until when a file of certificates is valid, and what is wrong with that now."""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

SOON: Final = timedelta(days=14)
"""Whoever renews by ACME does so 30 days before the end: what is nearer to it was not renewed."""


class Validity(NamedTuple):
    """When all certificates of a file are valid together."""

    since: datetime
    until: datetime

    @classmethod
    def of(cls, pem: bytes) -> "Validity":
        """Raises: ValueError: when `pem` holds no certificate."""
        from cryptography.x509 import load_pem_x509_certificates  # it takes its time to import, and few need it

        certificates = load_pem_x509_certificates(pem)
        return cls(
            max(each.not_valid_before_utc for each in certificates),
            min(each.not_valid_after_utc for each in certificates),
        )

    def unusable(self, now_ns: int) -> str:
        """Why nobody takes it now (Unix ns); empty when somebody does."""
        now = datetime.fromtimestamp(now_ns / 1e9, UTC)
        if now >= self.until:
            return f"it expired on {self.until:%Y-%m-%d %H:%M} UTC"
        if now < self.since:
            return f"it is not valid before {self.since:%Y-%m-%d %H:%M} UTC"
        return ""

    def ends_soon(self, now_ns: int) -> bool:
        """Whether it has less than `SOON` left."""
        return datetime.fromtimestamp(now_ns / 1e9, UTC) > self.until - SOON
