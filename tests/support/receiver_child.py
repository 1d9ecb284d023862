"""A receiver over the embedded log in a process of its own, to be killed.

python -m tests.support.receiver_child FOLDER      prints its HTTP and gRPC endpoints, then serves until it is killed
"""

import asyncio
import sys
from pathlib import Path

from tests.support.receiving import receiver_config
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.receiver.log.embedded import EmbeddedLog
from tokensense_otel.receiver.server import Receiver

CONFIG = LogConfig(partitions=2, segment_bytes=16384, commit_bytes=16384)


async def serve(folder: Path) -> None:
    receiver = Receiver(receiver_config(), EmbeddedLog(CONFIG, folder).writer())
    await receiver.start()
    sys.stdout.write(f"{receiver.endpoints.http} {receiver.endpoints.grpc}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
