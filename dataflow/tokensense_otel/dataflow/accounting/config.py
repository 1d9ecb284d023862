"""Configuration of accounting: how long evidence is waited for, and what memory that may take."""

from pydantic import Field

from tokensense_otel.core.config import Config


class AccountingConfig(Config):
    """Every limit is for one shard. Times are in log time, so catching up after an outage shortens none of them.

    About 600 bytes are kept of an open span, with the identity of its call, once its trace is quiet (1,500 before), and
    8 of a closed one; in a snapshot it is a third of that.
    """

    trace_idle_s: float = Field(default=120.0, gt=0, le=86_400)
    """Seconds without a span after which a trace is closed: later spans of it are accounted on their own."""
    max_open_spans: int = Field(default=5_000, ge=1)
    """Spans of open traces that are kept; above it the traces that were quiet longest are closed early."""
    max_trace_spans: int = Field(default=2_000, ge=1)
    """Spans of one open trace that are kept; a trace that grows beyond it is closed and begun anew."""
    resend_window_s: float = Field(default=86_400.0, gt=0)
    """Seconds for which spans of closed traces are remembered, so that a resend counts as a duplicate. A Collector
    with a persistent queue resends after an outage of hours."""
    max_resend_ids: int = Field(default=50_000, ge=8)
    """Ids (8 bytes each) that are remembered for that; the oldest are forgotten first."""
    identity_window_s: float = Field(default=120.0, gt=0)
    """Seconds for which a call is remembered to find a second report of it in another trace."""
    identity_linger_s: float = Field(default=3_600.0, gt=0)
    """Seconds for which calls that do have such a second report are remembered, to correct them exactly."""
    max_identities: int = Field(default=10_000, ge=1)
    """Calls that are remembered for that; the oldest are forgotten first and counted as they stand."""
    meter_horizon_s: float = Field(default=86_400.0, ge=3_600)
    """Seconds for which metrics can be late or silent; a total over a longer time is a starting point, not usage."""
    meter_intervals: int = Field(default=60, ge=2)
    """Export intervals of a metered source that can still be corrected when spans of the same calls come."""
    max_meter_series: int = Field(default=1_000, ge=1)
    """Time series about calls that are kept; further ones are refused, and that is reported."""

    def without_limits(self) -> "AccountingConfig":
        """The same for a recording: it is finite and fits in memory, and nothing of it may depend on order."""
        many = 1 << 62
        limits = (
            *("max_open_spans", "max_trace_spans", "max_resend_ids", "max_identities"),
            *("meter_intervals", "max_meter_series"),
        )
        return self.model_copy(update=dict.fromkeys(limits, many))
