"""What follows from an attempt: the verdict that the outbox records. Pure; the clock and the jitter are passed in.

Schedule: at once, then 5 s, 30 s, 2 min, 5 min, 15 min, 30 min and hourly, each ±20 %, until a message is `max_age_s`
old; Standard Webhooks recommends such a schedule, jitter included.
"""

from dataclasses import dataclass

import msgspec

from tokensense_otel.exporters.config import ExporterConfig
from tokensense_otel.exporters.errors import EndpointDown, Reject, Retry, Throttle
from tokensense_otel.exporters.exporter import Receipt
from tokensense_otel.store.outbox import Delivery, State, Verdict

Outcome = Receipt | Exception
"""What `send` returned, or what it raised."""

MERGE_AFTER_S = 30.0
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient delivery is. Durations in seconds."""

    max_age_s: float = 86_400.0
    schedule_s: tuple[float, ...] = (5, 30, 120, 300, 900, 1800, 3600)
    jitter: float = 0.2
    width: int = 8
    """The most messages under way at once."""
    min_interval_s: float = 0.0
    failures_to_open: int = 5
    digest_after_s: float = 0.0
    """A backlog that would take longer than this is told in digests; 0 means never."""
    merge_after_s: float | None = MERGE_AFTER_S
    """What has waited this long is told without what is over or older by then; `None` means all of it is told."""
    probe_s: float = 60.0


def policy_of(config: ExporterConfig) -> Policy:
    return Policy(
        max_age_s=config.max_age_s,
        width=config.max_in_flight,
        min_interval_s=config.min_interval_s,
        digest_after_s=config.digest_after_s,
        merge_after_s=MERGE_AFTER_S if config.merge_waiting else None,
    )


def is_storm(policy: Policy, waiting: int) -> bool:
    """Whether so many would take too long one by one, at the pace that the endpoint is known to take."""
    return bool(policy.digest_after_s) and waiting * policy.min_interval_s > policy.digest_after_s


def retry_delay_s(policy: Policy, attempts: int, jitter: float) -> float:
    """Seconds to the next attempt after `attempts` of them failed; `jitter` is in [0, 1), 0.5 the middle."""
    base = policy.schedule_s[min(attempts, len(policy.schedule_s)) - 1]
    return base * (1 + policy.jitter * (2 * jitter - 1))


def judge(
    delivery: Delivery, outcome: Outcome, *, has_fallback: bool, policy: Policy, now_ns: int, jitter: float
) -> Verdict:
    """The verdict on an attempt; `delivery.attempts` counts it."""
    if isinstance(outcome, Receipt):
        return Verdict(state=State.DELIVERED, receipt=outcome.data, degraded=delivery.degraded)
    reason = str(outcome) or type(outcome).__name__
    if isinstance(outcome, Reject):
        if has_fallback and not delivery.degraded:
            return Verdict(state=State.PENDING, reason=reason, degraded=True)
        return Verdict(state=State.DEAD, reason=reason, degraded=delivery.degraded)
    ambiguous = isinstance(outcome, Retry) and outcome.ambiguous
    age_s = (now_ns - delivery.queued_ns) / _SECOND
    if age_s >= policy.max_age_s:
        given_up = f"given up after {delivery.attempts} attempts in {age_s / 3600:.1f} h: {reason}"
        return Verdict(state=State.DEAD, reason=given_up, degraded=delivery.degraded, ambiguous=ambiguous)
    next_ns = now_ns + int(_delay_s(outcome, policy, delivery.attempts, jitter) * _SECOND)
    return Verdict(state=State.PENDING, next_ns=next_ns, reason=reason, degraded=delivery.degraded, ambiguous=ambiguous)


def of_digest(verdict: Verdict, outcome: Outcome) -> Verdict:
    """What the fate of a digest means for one of those in it.

    A receipt is no message of theirs to change later, and a digest that was refused says nothing about them: they are
    told by themselves then.
    """
    if isinstance(outcome, Receipt):
        return msgspec.structs.replace(verdict, receipt=None, reason="told in a digest")
    if isinstance(outcome, Reject):
        return msgspec.structs.replace(verdict, state=State.PENDING, next_ns=0, degraded=False, alone=True)
    return verdict


def _delay_s(outcome: Exception, policy: Policy, attempts: int, jitter: float) -> float:
    if isinstance(outcome, Throttle):
        return outcome.delay_s
    if isinstance(outcome, EndpointDown):
        return policy.probe_s
    asked = outcome.delay_s if isinstance(outcome, Retry) else 0.0
    return max(asked, retry_delay_s(policy, attempts, jitter))
