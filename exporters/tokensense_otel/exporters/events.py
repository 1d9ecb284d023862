"""The happenings of delivery. No secret is ever among the fields: reasons are redacted before they come here."""

import logging

from tokensense_otel.core.events import Happening, Level

ACCEPTED = Happening("exporter_accepted_deliveries", "Deliveries that the outbox took on.")
ATTEMPT = Happening("exporter_attempts", "Sends, by how they ended.", labels=("exporter", "outcome"))
AMBIGUOUS = Happening(
    "exporter_ambiguous_attempts", "Sends without a verdict: a copy may have arrived.", labels=("exporter",)
)
DEAD = Happening(
    "exporter_dead_letters",
    "Deliveries given up; `tokensense outbox replay` sends them again.",
    labels=("exporter",),
    level=logging.ERROR,
)
DEGRADED = Happening(
    "exporter_degraded",
    "Messages rejected as they were and sent again in short.",
    labels=("exporter",),
    level=logging.WARNING,
)
SUPPRESSED = Happening(
    "exporter_suppressed",
    "Deliveries that need not be sent: their exporter is no longer configured, or they were over while muted.",
    labels=("exporter", "reason"),
    level=logging.INFO,
)
HELD = Happening(
    "exporter_held",
    "Times a delivery was held back by a silence, an acknowledgement or a maintenance window.",
    labels=("exporter",),
    level=logging.INFO,
)
DIGESTED = Happening(
    "exporter_digested",
    "Deliveries told together, because one by one they would have taken too long.",
    labels=("exporter",),
    level=logging.WARNING,
)
FELL_BACK = Happening(
    "exporter_fell_back",
    "Deliveries that another exporter took on because theirs could not be made in time.",
    labels=("exporter", "to"),
    level=logging.WARNING,
)
FAILING = Happening(
    "exporter_failing",
    "Times sends began to fail, or to fail in another way; they are tried again.",
    labels=("exporter",),
    level=logging.WARNING,
)
ENDPOINT_DOWN = Happening(
    "exporter_endpoint_down",
    "Times an endpoint was found to take nothing; its messages wait.",
    labels=("exporter",),
    level=logging.ERROR,
)
ENDPOINT_BACK = Happening(
    "exporter_endpoint_back", "Times an endpoint took messages again.", labels=("exporter",), level=logging.INFO
)
EXPORTER_BUG = Happening(
    "exporter_bugs",
    "Sends that ended in something an exporter must not do.",
    labels=("exporter",),
    level=logging.ERROR,
)
RING_FAILED = Happening(
    "exporter_ring_failures",
    "Times the outbox could not be read or written; nothing is lost, delivery waits for it.",
    labels=("part",),
    level=logging.ERROR,
)
HEARTBEAT_LOST = Happening(
    "pipeline_heartbeat_lost",
    "Times no heartbeat came from the receiver through log, dataflow and store to the exporters any more.",
    level=logging.ERROR,
)
HEARTBEAT_BACK = Happening("pipeline_heartbeat_back", "Times heartbeats came all the way again.", level=logging.INFO)
SWITCH_SENT = Happening("dead_mans_switch_sent", "Signals that the dead man's switch sent.")
SWITCH_UNREACHED = Happening(
    "dead_mans_switch_unreached",
    "Times the other side of the dead man's switch began not to take its signal.",
    level=logging.WARNING,
)
SWITCH_FAILED = Happening(
    "dead_mans_switch_failures",
    "Times the heartbeats in the store could not be read or passed on.",
    level=logging.WARNING,
)
PENDING = Level("exporter_pending_deliveries", "Deliveries that wait in the outbox.", labels=("exporter",))
IN_FLIGHT = Level("exporter_in_flight", "Sends under way.", labels=("exporter",))
