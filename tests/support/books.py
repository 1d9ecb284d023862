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
    """Feeds the stages in their order and keeps what is on the books: the calls, and what became of spans."""

    def __init__(self, config: AccountingConfig | None = None) -> None:
        self.config = config or AccountingConfig()
        self.ledger = Ledger(self.config, price)
        self.twins = Twins(self.config, price)
        self.identities = Identities(self.config, price)
        self.standing: dict[Call, int] = {}
        self.accounting: dict[str, Accounting] = {}
        self.postings = 0

    def ingest(self, spans: Iterable[SpanFacts], now_ns: int = 0) -> None:
        self._book(self.ledger.ingest(list(spans), now_ns), now_ns)

    def advance(self, now_ns: int) -> None:
        for stage in (self.ledger, self.twins, self.identities):
            stage.advance(now_ns)

    def crash(self) -> None:
        """Lose everything but the snapshots."""
        self.ledger = Ledger.restore(self.config, price, self.ledger.snapshot())
        self.twins = Twins.restore(self.config, self.twins.snapshot(), price)
        self.identities = Identities.restore(self.config, self.identities.snapshot(), price)

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

    def _book(self, changes: Changes, now_ns: int) -> None:
        """Ledger, then twins, then identities, each for the postings that concern it; then the books."""
        self._account(changes)
        paired = [posting for posting in changes.postings if may_have_twin(posting.call)]
        postings = [posting for posting in changes.postings if not may_have_twin(posting.call)]
        twins = self.twins.ingest(paired, now_ns)
        self._account(twins)
        postings += twins.postings
        identities = self.identities.ingest([posting for posting in postings if posting.call.response_id], now_ns)
        self._account(identities)
        for posting in [posting for posting in postings if not posting.call.response_id] + identities.postings:
            self.postings += 1
            self.standing[posting.call] = self.standing.get(posting.call, 0) + posting.sign
            if not self.standing[posting.call]:
                del self.standing[posting.call]

    def _account(self, changes: Changes) -> None:
        for tenant, change in changes.accounting.items():
            self.accounting.setdefault(tenant, Accounting()).add(change)


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
