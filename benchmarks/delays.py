"""How long it takes from a request's arrival to the books, as a running `up` counts it."""

import math
from dataclasses import dataclass
from http.client import HTTPConnection

from prometheus_client.parser import text_string_to_metric_families

_NAME = "tokensense_dataflow_commit_delay_seconds"


@dataclass(frozen=True)
class Delays:
    """A histogram: by upper bound in seconds, how many took no longer."""

    buckets: dict[float, float]

    @classmethod
    def of(cls, api: str) -> "Delays":
        """All since the start of the `up` whose API listens on `api` (`host:port`)."""
        connection = HTTPConnection(api, timeout=30)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return cls({float(each.labels["le"]): each.value for each in samples if each.name == f"{_NAME}_bucket"})

    @property
    def count(self) -> float:
        return self.buckets.get(math.inf, 0.0)

    def since(self, before: "Delays") -> "Delays":
        return Delays({bound: count - before.buckets.get(bound, 0.0) for bound, count in self.buckets.items()})

    def quantile(self, share: float) -> float:
        """In seconds, linear within a bucket as Prometheus's `histogram_quantile` takes it; at most the last bound."""
        rank, below, under = share * self.count, 0.0, 0.0
        for bound, count in sorted(self.buckets.items()):
            if count >= rank and count > under:
                return below if math.isinf(bound) else below + (bound - below) * (rank - under) / (count - under)
            below, under = bound, count
        return 0.0
