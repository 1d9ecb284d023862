"""The road from entries of the log to the books, in the shards of an install, with log time in the test's hands."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from tests.support.books import SALT
from tokensense_otel.core.usage import Accounting, usage_rows
from tokensense_otel.dataflow.config import DataflowConfig
from tokensense_otel.dataflow.decode import Decoder
from tokensense_otel.dataflow.deltas import Deltas
from tokensense_otel.dataflow.normalise import NormaliseConfig, Normaliser
from tokensense_otel.dataflow.pricing import Catalogue
from tokensense_otel.dataflow.rules import RulesConfig, RuleSet
from tokensense_otel.dataflow.stages import STORE_KEY, Keyed, Stages
from tokensense_otel.receiver.log.entry import Entry

_CATALOGUE = Catalogue.load()


class Road:
    """All stages, with as many shards of each as `config` says; nothing happens but in the calls to this."""

    def __init__(self, config: DataflowConfig | None = None) -> None:
        stages = self._stages = Stages(config or DataflowConfig(), RuleSet(RulesConfig()), _CATALOGUE)
        self._decoder = Decoder(Normaliser(NormaliseConfig(), SALT), _refuse)
        self._make: dict[str, Callable[[bytes | None], Any]] = {
            "m": stages.metered,
            "t": stages.ledger,
            "w": stages.twins,
            "i": stages.identity,
            "r": stages.rules,
        }
        self._shards: dict[str, Any] = {}
        self.books = Deltas()
        self.insights = 0

    def take(self, entries: Iterable[Entry]) -> None:
        """Account entries, each a batch of its own."""
        for entry in entries:
            self._flow(self._stages.after_decode(self._decoder.decode([entry])), None)

    def advance(self, now_ns: int) -> None:
        """Log time passes, and every timer that is due by then is served."""
        self._flow([], now_ns)

    def crash(self) -> None:
        """Everything is lost but the snapshots and what is on the books."""
        self._shards = {key: self._make[key[0]](shard.snapshot()) for key, shard in self._shards.items()}

    def held(self) -> dict[str, int]:
        """Bytes of state by the letter of the stage."""
        found = dict.fromkeys(self._make, 0)
        for key, shard in self._shards.items():
            found[key[0]] += len(shard.snapshot())
        return found

    def rows(self, tenant: str = "default") -> list[dict[str, Any]]:
        """Usage as it is shown."""
        return usage_rows((key, cell) for key, cell in self.books.trimmed().usage.items() if key.tenant == tenant)

    def total(self, tenant: str = "default") -> Accounting:
        """What became of the spans so far."""
        return msgspec.structs.replace(self.books.accounting.get(tenant, Accounting()))

    def _flow(self, routed: list[Keyed], now_ns: int | None) -> None:
        stages = self._stages
        measured = stages.after_identity(self._through("m", routed, now_ns))
        settled = stages.after_ledger(self._through("t", routed, now_ns))
        paired = stages.after_twins(self._through("w", settled, now_ns))
        identified = stages.after_identity(self._through("i", settled + paired, now_ns))
        everything = routed + measured + settled + paired + identified
        self.insights += len(self._through("r", everything, now_ns))
        for key, item in everything:
            if key == STORE_KEY and isinstance(item, Deltas):
                item.seen.clear()
                self.books.merge(item)

    def _through(self, letter: str, routed: list[Keyed], now_ns: int | None) -> list[Any]:
        """What a stage makes of the items that are for it, and of its timers."""
        out: list[Any] = []
        for key, item in routed:
            if key[0] == letter:
                if key not in self._shards:
                    self._shards[key] = self._make[letter](None)
                out += self._shards[key].ingest(item)
        if now_ns is not None:
            for key, shard in self._shards.items():
                if key[0] == letter and (wake := shard.next_wake()) is not None and wake <= now_ns:
                    out += shard.advance(now_ns)
        return out


def _refuse(entry: Entry) -> None:
    raise AssertionError(f"an entry was put aside: {entry.signal}")
