"""The store's happenings."""

import logging

from tokensense_otel.core.events import Happening

INSIGHT_RECORDED = Happening(
    "insights_recorded", "Insights written to the store.", labels=("rule", "status"), level=logging.INFO
)
INSIGHT_ABSORBED = Happening(
    "insights_absorbed",
    "Transitions that an episode in the store had already made (a replay after a crash).",
    labels=("rule", "status"),
)
ROLLUP_BEHIND = Happening(
    "rollup_behind",
    "Restarts whose recovery point is older than what the store has folded: usage may be counted twice.",
    labels=("part",),
    level=logging.ERROR,
)
MUTED = Happening("mutes_added", "Silences and acknowledgements put on record.", labels=("kind",), level=logging.INFO)
UNMUTED = Happening("mutes_ended", "Silences and acknowledgements ended by hand.", labels=("kind",), level=logging.INFO)
