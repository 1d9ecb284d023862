"""Whether the whole is ready, for `/readyz`: the store, the log, each part, and what the receiver says of itself.

Under `up` every part has to be there. A part that is run alone somewhere else is nobody's fault: it is named, no more.
"""

import json
import os
import socket
from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from tokensense_otel.core.component import system_clock
from tokensense_otel.core.config import split_endpoint
from tokensense_otel.receiver.log.log import LogReader
from tokensense_otel.service import places
from tokensense_otel.service.config import Settings
from tokensense_otel.service.units import Unit, units_of

_TIMEOUT_S: Final = 2.0
_OK: Final = 200


class NotReady(Exception):
    """Says what is not, and why."""


def part_checks(settings: Settings, log: LogReader) -> dict[str, Callable[[], str]]:
    """By name, what says in a few words how something is and raises when it is not well."""
    units = [unit for unit in units_of(settings) if unit.part != "api"]
    return {
        "log": partial(_writable, places.log_dir(settings.data_dir)),
        "backlog": partial(_backlog, log),
        **{unit.name: partial(_part, settings, unit) for unit in units},
    }


def _writable(folder: Path) -> str:
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder} is not writable")
    return "ok"


def _backlog(log: LogReader) -> str:
    status = log.status()
    return f"{status.uncommitted_bytes} bytes, the oldest for {status.lag_s(system_clock()):.0f} s"


def _part(settings: Settings, unit: Unit) -> str:
    if not places.is_held(settings.data_dir, unit.name):
        if places.is_held(settings.data_dir, "up"):
            raise NotReady("it is being started again")
        return "does not run here"
    if unit.part == "receiver":
        _ask_receiver(settings)
    return "ok"


def _ask_receiver(settings: Settings) -> None:
    """One of several that share a port: the system chooses which.

    Raises:
        NotReady: it does not listen, or cannot keep what it is sent.
    """
    endpoint = _real_endpoint(settings)
    host, port = split_endpoint(endpoint)
    try:
        if settings.receiver.http.tls is not None:  # it may want a certificate that we do not have
            socket.create_connection((host, port), _TIMEOUT_S).close()
            return
        connection = HTTPConnection(host, port, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
    except OSError as error:
        raise NotReady(f"it does not answer on {endpoint}: {error}") from None
    if answer.status != _OK:
        raise NotReady(json.loads(body)["reason"])


def _real_endpoint(settings: Settings) -> str:
    """Where the receiver listens for HTTP; under `up` that may be a port that the system chose."""
    try:
        state = json.loads(places.up_file(settings.data_dir).read_text(encoding="utf-8"))
        return str(state["endpoints"]["http"])
    except (OSError, ValueError, KeyError):
        return settings.receiver.http.endpoint
