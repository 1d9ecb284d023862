"""Where the store lives, and how much of recent traces it keeps for explanations."""

from pydantic import Field, field_validator

from tokensense_otel.core.config import Config


class StoreConfig(Config):
    url: str = "sqlite"
    """`sqlite` keeps the store inside `data_dir`; `sqlite:////path/to/file` puts it elsewhere."""

    @field_validator("url")
    @classmethod
    def _supported(cls, value: str) -> str:
        if value == "sqlite" or value.startswith("sqlite:///"):
            return value
        raise ValueError("only SQLite is supported; write sqlite, or sqlite:////absolute/path/to/file.db")


class ExplainConfig(Config):
    keep_spans: int = Field(default=200_000, ge=0, le=100_000_000)
    """Spans of GenAI traces of which the facts are kept, so that calls can be explained; about
    1 kB each, never with text. 0 keeps none."""
    keep_hours: float = Field(default=168.0, gt=0, le=87_600)
    """Hours for which they are kept at most."""
