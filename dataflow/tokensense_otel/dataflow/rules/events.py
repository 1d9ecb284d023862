"""The rules' happenings."""

import logging

from tokensense_otel.core.events import Happening

INSIGHTS = Happening("rules_insights", "Insights, by rule and transition.", labels=("rule", "status"))
KEYS_EVICTED = Happening(
    "rules_keys_evicted",
    "Keys given up, or not taken, because a rule reached its limit of keys; what they counted is lost, never invented.",
    labels=("rule",),
)
CALLS_NOT_FOLLOWED = Happening(
    "rules_calls_not_followed", "Calls of keys that a rule gave up or could not take.", labels=("rule",)
)
SPEND_NOT_FOLLOWED = Happening(
    "rules_spend_not_followed_nano_usd",
    "What the calls of keys cost that a rule gave up or could not take, in billionths of a USD.",
    labels=("rule",),
)
TOO_LATE = Happening(
    "rules_events_too_late", "Calls and samples that ended before the window of their key.", labels=("rule",)
)
STATE_DROPPED = Happening(
    "rules_state_dropped",
    "Keys whose stored state no longer fits the configuration (another window, a rule that is gone).",
    labels=("rule",),
    level=logging.WARNING,
)
