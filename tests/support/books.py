"""The three stages of accounting in one process, and the books that their postings make."""

import random
from collections.abc import Iterable
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tokensense_otel.core.call import Call, Cost, CostKind, Posting
from tokensense_otel.core.usage import Accounting, Usage
from tokensense_otel.dataflow.accounting import AccountingConfig, Changes, Identities, Ledger, Twins, may_have_twin
from tokensense_otel.dataflow.facts import SpanFacts
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser

CAPTURES = Path(__file__).parent.parent / "testdata" / "captures"
SALT = b"a salt of thirty-two bytes, fixed"


def price(call: Call) -> Cost:
    """A nano-dollar a token; unknown where the usage is."""
    tokens = call.tokens
    if not tokens.known:
        return Cost(reason="no usage")
    total = (tokens.input or 0) + (tokens.output or 0)
    return Cost(CostKind.KNOWN, total, total, "test", "test")


class Books:
    """Feeds the stages in their order and keeps what is on the books: calls by identity, sums, and what became of spans."""

    def __init__(self, config: AccountingConfig | None = None) -> None:
        self.config = config or AccountingConfig()
        self.ledger = Ledger(self.config, price)
        self.twins = Twins(self.config)
        self.identities = Identities(self.config)
        self.standing: dict[Call, int] = {}
        self.accounting: dict[str, Accounting] = {}
        self.postings = 0

    def ingest(self, spans: Iterable[SpanFacts], now_ns: int = 0) -> None:
        self._book(self.ledger.ingest(list(spans), now_ns), now_ns, 0)

    def advance(self, now_ns: int) -> None:
        for stage in (self.ledger, self.twins, self.identities):
            stage.advance(now_ns)

    def crash(self) -> None:
        """Lose everything but the snapshots."""
        self.ledger = Ledger.restore(self.config, price, self.ledger.snapshot())
        self.twins = Twins.restore(self.config, self.twins.snapshot())
        self.identities = Identities.restore(self.config, self.identities.snapshot())

    @property
    def calls(self) -> list[Call]:
        """What counts at the moment; a posting that is not exactly reversed shows as a negative or double count."""
        assert set(self.standing.values()) <= {1}, "a call is on the books twice, or was reversed without being there"
        return sorted(self.standing, key=lambda call: (call.start_ns, call.trace_id, call.span_id))

    def total(self, tenant: str = "default") -> Accounting:
        return self.accounting.get(tenant, Accounting())

    def usage(self) -> dict[str, Usage]:
        """Sums by request model."""
        sums: dict[str, Usage] = {}
        for call in self.calls:
            sums.setdefault(call.request_model or call.response_model, Usage()).post(Posting(1, call))
        return sums

    def _book(self, changes: Changes, now_ns: int, stage: int) -> None:
        for tenant, change in changes.accounting.items():
            self.accounting.setdefault(tenant, Accounting()).add(change)
        onward: list[Posting] = []
        for posting in changes.postings:
            if stage < 1 and may_have_twin(posting.call):
                onward.append(posting)
        twins = self.twins.ingest(onward, now_ns) if onward else None
        rest = [posting for posting in changes.postings if stage >= 1 or not may_have_twin(posting.call)]
        if twins is not None:
            self._book(twins, now_ns, 1)
        shared = [posting for posting in rest if stage < 2 and posting.call.response_id]
        for posting in rest:
            if stage >= 2 or not posting.call.response_id:
                self.postings += 1
                count = self.standing.get(posting.call, 0) + posting.sign
                if count:
                    self.standing[posting.call] = count
                else:
                    del self.standing[posting.call]
        if shared:
            self._book(self.identities.ingest(shared, now_ns), now_ns, 2)


def requests_of(folder: str) -> list[ExportTraceServiceRequest]:
    """The trace requests of a capture, in order of arrival."""
    paths = sorted((CAPTURES / folder).glob("*.traces.pb"))
    return [ExportTraceServiceRequest.FromString(path.read_bytes()) for path in paths]


def facts_of(folder: str) -> list[list[SpanFacts]]:
    """The facts of each request of a capture."""
    normaliser = Normaliser(NormaliseConfig(), SALT)
    return [normaliser.spans(request, tenant="default", project="")[0] for request in requests_of(folder)]


def batches(spans: list[SpanFacts], seed: int) -> list[list[SpanFacts]]:
    """The spans in another order, cut into batches of random sizes."""
    chance = random.Random(seed)
    shuffled = chance.sample(spans, len(spans))
    cut: list[list[SpanFacts]] = []
    while shuffled:
        size = chance.randint(1, 5)
        cut.append(shuffled[:size])
        shuffled = shuffled[size:]
    return cut
