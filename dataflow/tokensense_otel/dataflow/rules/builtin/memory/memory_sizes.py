"""Which amounts of memory a platform allocates, which of them is enough, and what it costs: a table, as published.

Lambda takes any megabyte and Kubernetes any byte. Where a platform takes any amount, the sizes are those that people
write, which keeps the proposal readable; where it takes certain ones only, they are these.
"""

from typing import Final, NamedTuple

MIB: Final = 1_048_576


class Sizes(NamedTuple):
    """What can be asked for, in MiB, smallest first. With `step` everything from the first to the last by that step."""

    platform: str
    mebibytes: tuple[int, ...]
    source: str
    step: int = 0
    picos: int | None = None
    """List price of a GiB for a second in 10⁻¹² USD, the lowest of those that may apply; `None` where memory alone has
    none, or where nobody tells how long it was used."""
    price_source: str = ""
    as_of: str = "2026-11-24"

    def fit(self, needed_bytes: int) -> int | None:
        """The smallest size, in bytes, that holds so much; `None` where none does."""
        needed = -(-needed_bytes // MIB)
        if self.step:
            least, most = self.mebibytes[0], self.mebibytes[-1]
            size = least + max(0, -(-(needed - least) // self.step)) * self.step
            return size * MIB if size <= most else None
        return next((size * MIB for size in self.mebibytes if size >= needed), None)


_HALVED: Final = (64, 96, 128, 192, 256, 384, 512, 768, 1_024, 1_536, 2_048, 3_072, 4_096, 6_144, 8_192, 12_288, 16_384)
_LARGE: Final = (24_576, 32_768, 49_152, 65_536, 98_304, 131_072, 196_608, 262_144)
_GIBS: Final = tuple(1_024 * gib for gib in (*range(1, 31), *range(32, 61, 4), *range(64, 121, 8)))

LAMBDA: Final = Sizes(
    "AWS Lambda",
    (128, 10_240),
    "https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html",
    step=1,
    # us-east-1, the first 7.5 billion GB-seconds of a month on Arm: 0.0000133334 USD; on x86 0.0000166667. Lambda's GB
    # is 1,024 of its MB, which are MiB.
    picos=13_333_400,
    price_source="https://aws.amazon.com/lambda/pricing/",
)
FARGATE: Final = Sizes(
    "AWS Fargate",
    (512, *_GIBS),
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html",
)
CLOUD_RUN: Final = Sizes(
    "Cloud Run",
    (128, 256, 512, *(1_024 * gib for gib in (1, 2, 4, 8, 16, 24, 32))),
    "https://cloud.google.com/run/docs/configuring/services/memory-limits",
)
USUAL: Final = Sizes(
    "Kubernetes", (*_HALVED, *_LARGE), "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/"
)

_BY_PLATFORM: Final = {
    "aws_lambda": LAMBDA,
    "aws_fargate": FARGATE,
    "gcp_cloud_run": CLOUD_RUN,
    "gcp_cloud_functions": CLOUD_RUN,
}


def sizes_of(platform: str) -> Sizes:
    """The sizes of a platform, by OpenTelemetry's `cloud.platform`; what people write for containers elsewhere."""
    return _BY_PLATFORM.get(platform, USUAL)
