"""The file's keys."""

from pathlib import Path

from pydantic import field_validator

from tokensense_otel.exporters.config import ExporterConfig


class FileConfig(ExporterConfig):
    type: str = "file"

    path: Path
    """The file that lines are appended to; relative to where the command is run. It is opened anew for each line, so
    that it can be moved away (logrotate) at any time."""

    max_in_flight: int = 1
    merge_waiting: bool = False

    @field_validator("path")
    @classmethod
    def _named(cls, value: Path) -> Path:
        if not value.name or "\0" in str(value):
            raise ValueError("it names no file; write for instance ./insights.jsonl")
        return value.expanduser()
