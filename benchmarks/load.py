"""Load from a process of its own: sends serialised trace requests over OTLP/HTTP as fast as they are acknowledged.

`python -m benchmarks.load HOST:PORT FILE CONNECTIONS` reads a file of length-prefixed bodies and shares them out over
so many keep-alive connections. It prints one JSON object: seconds from the first byte to the last acknowledgement, and
how many requests were refused.
"""

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_OK = 200
_HEADERS = {"Content-Type": "application/x-protobuf"}
_AGAIN = frozenset({429, 502, 503, 504})


def write_bodies(path: Path, bodies: Sequence[bytes]) -> None:
    with path.open("wb") as file:
        for body in bodies:
            file.write(len(body).to_bytes(4, "big") + body)


def run_load(endpoint: str, bodies: Path, connections: int) -> dict[str, Any]:
    """Run the load to its end in another process.

    Raises:
        subprocess.CalledProcessError: when it failed; its traceback is on standard error.
    """
    command = [sys.executable, "-m", "benchmarks.load", endpoint, str(bodies), str(connections)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _bodies(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while head := file.read(4):
            yield file.read(int.from_bytes(head, "big"))


def _send(endpoint: str, bodies: Sequence[bytes], refused: list[int]) -> None:
    connection = http.client.HTTPConnection(endpoint, timeout=60)
    for body in bodies:
        while True:
            connection.request("POST", "/v1/traces", body, _HEADERS)
            response = connection.getresponse()
            response.read()
            if response.status not in _AGAIN:
                break
            time.sleep(0.05)
        if response.status != _OK:
            refused.append(response.status)
    connection.close()


def _main(endpoint: str, path: str, connections: str) -> None:
    many, refused = int(connections), list[int]()
    bodies = list(_bodies(Path(path)))
    threads = [threading.Thread(target=_send, args=(endpoint, bodies[start::many], refused)) for start in range(many)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"seconds": time.perf_counter() - began, "refused": len(refused)}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
