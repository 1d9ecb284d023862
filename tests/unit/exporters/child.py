"""Deliver from a store to a webhook until killed: `python -m tests.unit.exporters.child FOLDER URL`. Prints `ready`."""

import asyncio
import sys
from pathlib import Path

from tokensense_otel.core.component import system_clock
from tokensense_otel.exporters.process import Exporters
from tokensense_otel.exporters.registry import load_exporters
from tokensense_otel.store.database import open_database


async def main(folder: Path, url: str) -> None:
    section = {"type": "webhook", "url": url, "allow_private": True}
    component = Exporters(
        load_exporters({"ops": section}, base_dir=folder), open_database("sqlite", data_dir=folder), system_clock
    )
    await component.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
