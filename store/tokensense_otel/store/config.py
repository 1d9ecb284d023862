"""Where the store lives."""

from pydantic import field_validator

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
