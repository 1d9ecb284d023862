"""The facts of recordings, for explaining them without a store."""

from collections.abc import Iterable
from pathlib import Path

from tokensense_otel.dataflow.decode import Decoder
from tokensense_otel.dataflow.explain.sources import Recorded
from tokensense_otel.dataflow.normalise import Normaliser
from tokensense_otel.receiver.log.entry import Entry
from tokensense_otel.service.config import Settings
from tokensense_otel.service.replay.read import Reader
from tokensense_otel.service.replay.replay import SALT


def read_facts(settings: Settings, reader: Reader, paths: Iterable[Path]) -> Recorded:
    """Every span of the recordings."""

    def quarantine(entry: Entry) -> None:
        reader.refuse(f"a request of {entry.signal.value}", "it could not be taken apart")

    decoder = Decoder(Normaliser(settings.normalise, SALT), quarantine)
    recorded = Recorded()
    for entry in reader.entries(paths):
        for facts in decoder.decode([entry]).spans:
            recorded.add(facts, entry.received_ns)
    return recorded
