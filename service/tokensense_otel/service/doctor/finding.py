"""What a check found."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from tokensense_otel.service.loader import Loaded


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """`mend` says what to do, and is empty when nothing is wrong."""

    check: str
    verdict: Verdict
    detail: str
    mend: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


Check = Callable[[Loaded], Finding]


def ok(check: str, detail: str) -> Finding:
    return Finding(check, Verdict.OK, detail)


def warn(check: str, detail: str, mend: str) -> Finding:
    return Finding(check, Verdict.WARN, detail, mend)


def fail(check: str, detail: str, mend: str) -> Finding:
    return Finding(check, Verdict.FAIL, detail, mend)
