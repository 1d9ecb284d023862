"""What can happen to the parts of a running TokenSense."""

import logging

from tokensense_otel.core.events import Happening

PART_READY = Happening("part_ready", "Parts that came up.", labels=("part",), level=logging.INFO)
PART_DIED = Happening(
    "part_died",
    "Parts that ended without being asked to; each is started again.",
    labels=("part",),
    level=logging.ERROR,
)
PART_UNSTARTED = Happening(
    "part_unstarted",
    "Starts of a part that the system refused; each is tried again.",
    labels=("part",),
    level=logging.ERROR,
)
PART_KILLED = Happening(
    "part_killed", "Parts that did not stop within their deadline.", labels=("part",), level=logging.ERROR
)
STOPPING = Happening("stopping", "Orderly stops that began.", level=logging.INFO)
STOPPED = Happening("stopped", "Orderly stops that ended.", level=logging.INFO)
API_FAILED = Happening("api_failed", "Requests that the API could not answer.", labels=("path",), level=logging.ERROR)
TELEMETRY_UNSENT = Happening(
    "telemetry_unsent", "Times that our own metrics could not be sent by OTLP.", level=logging.WARNING
)
RULES_RELOADED = Happening("rules_reloaded", "Times that changed rules were taken.", level=logging.INFO)
RULES_REFUSED = Happening(
    "rules_refused", "Times that changed rules were wrong; those before stay in force.", level=logging.ERROR
)
