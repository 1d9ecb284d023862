"""Configuration of maintenance windows."""

from pydantic import Field

from tokensense_otel.exporters.selection.config import HoursConfig, MatcherText


class MaintenanceConfig(HoursConfig):
    """A window that comes again: what is found in it is told when it ends, if it is still so."""

    match: tuple[MatcherText, ...] = ()
    """Which insights, as `tokensense silences add` takes them: `team=payments`, `rule=~"SPIKE|COST_SPIKE"`. All of
    them have to hold; none means every insight."""
    reason: str = Field(min_length=1, max_length=500)
    """Why: shown with whatever is held back."""
    owner: str = Field(default="", max_length=500)
    """Whom to ask."""
