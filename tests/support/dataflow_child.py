"""A dataflow over a data folder, as a process that a test can kill: `python -m tests.support.dataflow_child FOLDER`.

It prints `ready` when Bytewax is about to run, drains the log, and ends by itself on SIGTERM.
"""

import signal
import sys
import threading
from pathlib import Path

from tokensense_otel.core.events import configure_logging
from tokensense_otel.dataflow.config import DataflowConfig
from tokensense_otel.dataflow.normalise import NormaliseConfig
from tokensense_otel.dataflow.process import run_dataflow
from tokensense_otel.dataflow.rules import RulesConfig, RuleSet
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.store.database import open_database

LOG = LogConfig(partitions=2, segment_bytes=4096, commit_bytes=1024, max_bytes=1 << 30)


def main(folder: Path) -> None:
    configure_logging(json_lines=False)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    engine = open_database("sqlite", data_dir=folder)
    run_dataflow(
        DataflowConfig(epoch_interval_s=0.1, batch_bytes=4096, shards=4, recovery_partitions=2),
        rules=RuleSet(RulesConfig(), {}),
        normalise=NormaliseConfig(),
        log=EmbeddedLog(LOG, folder / "log").reader(),
        engine=engine,
        data_dir=folder,
        stop=stop,
        ready=lambda: print("ready", flush=True),  # noqa: T201 - the answer to the test
    )
    engine.dispose()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
