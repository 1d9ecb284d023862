"""What need not be told any more because of what waits behind it. Pure.

A message that was tried stays, whatever came of it: a receiver that may have heard of a finding hears how it goes on.
"""

from collections.abc import Sequence

from tokensense_otel.core.insight import Status
from tokensense_otel.store.held import Waiting


def superseded(lane: Sequence[Waiting], *, told: bool) -> dict[int, str]:
    """Delivery id → why it need not be sent. `lane` holds what waits of one episode, in order."""
    *earlier, last = lane
    if last.status is Status.RESOLVED and not told:
        return dict.fromkeys((each.id for each in lane), "over before it could be told")
    untold = (each for each in earlier if not each.tried and each.status is not Status.FIRING)
    return dict.fromkeys((each.id for each in untold), "a newer one waits as well")
