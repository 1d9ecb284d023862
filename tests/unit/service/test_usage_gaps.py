"""Who reports calls without usage."""

from tokensense_otel.core.tally import Tally, What
from tokensense_otel.service.accounting import usage_gaps


def test_gaps_are_by_service_and_dialect_with_their_share() -> None:
    """One of four, all of two, and nothing of a service that reports everything or whose calls were taken back."""
    tallies = {
        Tally("t", "cart", What.DIALECT, "litellm"): 4,
        Tally("t", "cart", What.NO_USAGE, "litellm"): 1,
        Tally("t", "search", What.DIALECT, "litellm"): 2,
        Tally("t", "search", What.NO_USAGE, "litellm"): 2,
        Tally("t", "cart", What.DIALECT, "vercel-ai"): 9,
        Tally("t", "gone", What.DIALECT, "vercel-ai"): 0,
        Tally("t", "gone", What.NO_USAGE, "vercel-ai"): 0,
    }
    assert usage_gaps(tallies) == [
        {"service": "search", "dialect": "litellm", "calls": 2, "share": 1.0},
        {"service": "cart", "dialect": "litellm", "calls": 1, "share": 0.25},
    ]
