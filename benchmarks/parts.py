"""The parts of the dataflow and the log, each alone."""

import asyncio
import tempfile
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import genai_prices
import msgspec

from benchmarks.material import START_NS, calls, requests
from benchmarks.measure import Effort, report, seconds
from tokensense_otel.dataflow.accounting import AccountingConfig, Ledger
from tokensense_otel.dataflow.facts import SpanFacts
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser
from tokensense_otel.dataflow.pricing import Catalogue, PricesConfig
from tokensense_otel.dataflow.pricing.config import AliasConfig, FactorConfig
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.receiver.log.entry import Entry, Signal


def normalise(effort: Effort) -> None:
    """Parse requests and turn spans into facts."""
    bodies = [request.SerializeToString() for request in requests(effort.size)]

    def work(normaliser: Normaliser) -> None:
        for batch in _facts(bodies, normaliser):
            assert batch

    taken = seconds(effort, lambda: Normaliser(NormaliseConfig(), b"salt"), work)
    report("normalise, protobuf to facts", f"{taken / effort.size * 1e6:.1f} µs/span")


def _facts(bodies: Iterable[bytes], normaliser: Normaliser) -> Iterable[list[SpanFacts]]:
    parse = type(requests(2)[0]).FromString
    return (normaliser.spans(parse(body), tenant="default", project="")[0] for body in bodies)


def ledger(effort: Effort) -> None:
    """Settle traces, price their calls, and take a snapshot of the open ones."""
    catalogue = Catalogue.load()
    bodies = [request.SerializeToString() for request in requests(effort.size)]
    batches = list(_facts(bodies, Normaliser(NormaliseConfig(), b"salt")))

    def work(books: Ledger) -> None:
        for batch in batches:
            books.ingest(batch, START_NS)

    taken = seconds(effort, lambda: Ledger(AccountingConfig(), catalogue.cost), work)
    report("ledger, facts to priced postings", f"{taken / effort.size * 1e6:.1f} µs/span")

    def filled() -> Ledger:
        books = Ledger(AccountingConfig(), catalogue.cost)
        work(books)
        return books

    taken = seconds(effort, filled, lambda books: books.snapshot())
    report("ledger, snapshot", f"{taken * 1e3:.1f} ms", f"{effort.size} open spans")


def prices(effort: Effort) -> None:
    """Price calls, and do the same with genai-prices, whose data it is."""
    catalogue = Catalogue.load()
    priced = list(calls(effort.size))
    ours = seconds(effort, lambda: priced, lambda many: [catalogue.cost(call) for call in many])
    report("price look-up", f"{ours / effort.size * 1e6:.2f} µs/call")
    own = Catalogue.load(_own_prices())
    overlaid = seconds(effort, lambda: priced, lambda many: [own.cost(call) for call in many])
    report(
        "  with prices of one's own",
        f"{overlaid / effort.size * 1e6:.2f} µs/call",
        "an alias for one service, a factor",
    )
    missed = [msgspec.structs.replace(call, request_model="my-own", response_model="") for call in priced]
    misses = seconds(effort, lambda: missed, lambda many: [catalogue.cost(call) for call in many])
    report("  of a model without a price", f"{misses / effort.size * 1e6:.2f} µs/call")
    few = priced[: min(len(priced), 500)]
    moment = datetime.fromtimestamp(START_NS // 1_000_000_000, UTC)
    providers = {"gcp.gemini": "google"}

    def theirs() -> None:
        for call in few:
            usage = genai_prices.Usage(
                input_tokens=call.tokens.input,
                output_tokens=call.tokens.output,
                cache_read_tokens=call.tokens.cache_read,
            )
            provider = providers.get(call.provider, call.provider)
            genai_prices.calc_price(usage, call.model, provider_id=provider, genai_request_timestamp=moment)

    peer = seconds(effort, lambda: None, lambda _: theirs()) / len(few)
    report("  genai-prices calc_price", f"{peer * 1e6:.1f} µs/call", f"{peer / (ours / effort.size):.0f} times ours")
    taken = seconds(Effort(runs=3, size=1), lambda: None, lambda _: Catalogue.load())
    report("  loading the catalogue", f"{taken * 1e3:.0f} ms")


def _own_prices() -> PricesConfig:
    return PricesConfig(
        aliases=(AliasConfig(name="prod-chat", model="gpt-4o", service="checkout"),),
        factors=(FactorConfig(factor=Decimal("0.85"), since=date(2026, 1, 1)),),
    )


def log(effort: Effort) -> None:
    """Append to the embedded log from many clients at once, each waiting until its entry is durable."""
    body = requests(100)[0].SerializeToString()
    clients = 64
    rounds = max(2, effort.size // 500)

    async def run(folder: Path) -> None:
        writer = EmbeddedLog(LogConfig(), folder / "log").writer()
        await writer.start()

        async def client() -> None:
            for _ in range(rounds):
                await writer.append(Entry(Signal.TRACES, "default", "", START_NS, body))

        await asyncio.gather(*(client() for _ in range(clients)))
        await writer.stop()

    with tempfile.TemporaryDirectory() as parent:
        taken = seconds(effort, lambda: Path(tempfile.mkdtemp(dir=parent)), lambda folder: asyncio.run(run(folder)))
    report(
        "log, durable appends", f"{clients * rounds / taken:,.0f} /s", f"{clients} clients, {len(body):,} bytes each"
    )
