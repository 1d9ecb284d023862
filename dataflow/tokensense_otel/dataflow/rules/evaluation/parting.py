"""What a rule that is gone had said is closed: nobody would look at it again, and somebody was paged for it."""

from collections.abc import Iterable, Iterator

import msgspec

from tokensense_otel.core.insight import Insight, Severity, Status, rfc3339, stable_id
from tokensense_otel.dataflow.rules.evaluation.episodes import Episode
from tokensense_otel.dataflow.rules.evaluation.series import decode_key


def partings(rule: str, blobs: Iterable[bytes], now_ns: int) -> Iterator[Insight]:
    """The ends of the findings that are open in the stored keys of a rule that is no more.

    Of the rule nothing is known but its name: scope and words are those of the key alone.
    """
    for blob in blobs:
        (tenant, project, *parts), (_, stored, *_) = decode_key(blob)
        episode = msgspec.convert(stored, Episode)
        if episode.firing:
            yield Insight(
                id=stable_id("in", episode.id, Status.RESOLVED),
                episode_id=episode.id,
                status=Status.RESOLVED,
                rule=rule,
                severity=Severity.LOW,
                tenant=tenant,
                project=project,
                scope={"key": ", ".join(part for part in parts if part)},
                title=f"{rule} is no rule any more",
                summary="Over: the rule was taken out of the configuration.",
                evidence={},
                suggested_fix="Nothing has to be done.",
                estimated_monthly_savings_usd=None,
                started_at=rfc3339(episode.started_ns),
                detected_at=rfc3339(max(now_ns, episode.started_ns)),
                resolved_at=rfc3339(max(now_ns, episode.started_ns)),
            )
