"""Every key of the configuration file: each part's own configuration under the name that users know it by."""

import logging
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from tokensense_otel.core.config import Config
from tokensense_otel.dataflow.config import DataflowConfig
from tokensense_otel.dataflow.normalise.config import AttributionConfig, NormaliseConfig
from tokensense_otel.dataflow.pricing.config import PricesConfig
from tokensense_otel.dataflow.rules.config import RulesConfig, RuleSet
from tokensense_otel.exporters.dead_mans_switch.config import DeadMansSwitchConfig
from tokensense_otel.exporters.muting.config import MaintenanceConfig
from tokensense_otel.receiver.config import ReceiverConfig
from tokensense_otel.receiver.log.config import LogConfig
from tokensense_otel.service.api.config import ApiConfig
from tokensense_otel.service.telemetry.config import TelemetryConfig
from tokensense_otel.store.config import ExplainConfig, StoreConfig


class LoggingConfig(Config):
    format: Literal["text", "json"] = "text"
    """`text` is `key=value` for people, `json` is one object a line for machines. Logs go to standard error."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is logged: `info` is a change of state, `warning` is odd but nothing is lost, `error` is
    data lost or a person needed."""

    @property
    def number(self) -> int:
        """The level as Python's `logging` counts."""
        return logging.getLevelNamesMapping()[self.level.upper()]


class ProjectConfig(Config):
    rules: dict[str, dict[str, Any]] = Field(default={})
    """Thresholds of this project that differ from `rules`."""


class TenantConfig(Config):
    rules: dict[str, dict[str, Any]] = Field(default={})
    """Thresholds of this tenant that differ from `rules`."""


class Settings(Config):
    data_dir: Path = Path("tokensense-data")
    """The folder for everything that has to survive: log, store, recovery. Relative to where the command is run."""
    receiver: ReceiverConfig = ReceiverConfig()
    """Where OTLP comes in, and from whom."""
    api: ApiConfig = ApiConfig()
    """Where usage and insights are read over HTTP."""
    log: LogConfig = LogConfig()
    """Where accepted requests wait for the dataflow."""
    store: StoreConfig = StoreConfig()
    """Where usage and insights are kept."""
    explain: ExplainConfig = ExplainConfig()
    """What is kept of recent traces, so that each call can be explained. See docs/explain.md."""
    exporters: dict[str, dict[str, Any]] = Field(default={"console": {"type": "console"}})
    """Where insights go: a name of your own → `type` and the keys of that type. See docs/exporters.md."""
    maintenance: dict[str, MaintenanceConfig] = Field(default={})
    """Windows that come again, in which findings wait: a name of your own → its keys. See docs/silences.md."""
    rules: RulesConfig = RulesConfig()
    """Thresholds: a rule's name → its keys. See docs/rules/README.md."""
    tenants: dict[str, TenantConfig] = Field(default={})
    """What is different for a tenant."""
    projects: dict[str, ProjectConfig] = Field(default={})
    """What is different for a project (`tokensense.project`, or the project of the sender's key); it counts more than
    what is said for the tenant."""
    prices: PricesConfig = PricesConfig()
    """Your own prices, contract factors and names of models, laid over the price list. See docs/prices.md."""
    attribution: AttributionConfig = AttributionConfig()
    """Which attributes name the dimensions of a call, in order: the first that is there wins."""
    dataflow: DataflowConfig = DataflowConfig()
    """How the dataflow runs."""
    dead_mans_switch: DeadMansSwitchConfig = DeadMansSwitchConfig()
    """A signal to your pager that stops when TokenSense does. See docs/dead-mans-switch.md."""
    telemetry: TelemetryConfig = TelemetryConfig()
    """Where TokenSense's own metrics are sent, besides being shown in `/metrics`."""
    logging: LoggingConfig = LoggingConfig()
    """What is logged, and how."""

    @field_validator("data_dir", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        try:
            value = value.expanduser().absolute()
        except RuntimeError as error:
            raise ValueError(f"{str(error).rstrip('.')}; write the folder out") from None
        if "\0" in str(value):
            raise ValueError("a path holds no null byte; write the folder out")
        return value

    @model_validator(mode="after")
    def _a_partition_each(self) -> "Settings":
        if self.receiver.processes > self.log.partitions:
            raise ValueError(
                f"receiver.processes: each writes partitions of its own, and log.partitions is {self.log.partitions}; "
                f"write {self.log.partitions} or less"
            )
        return self

    @property
    def rule_set(self) -> RuleSet:
        """The rules with what each tenant and project overrides.

        Raises:
            ValueError: when one overrides what does not exist.
        """
        return RuleSet(
            self.rules,
            {name: project.rules for name, project in self.projects.items()},
            {name: tenant.rules for name, tenant in self.tenants.items()},
        )

    @property
    def normalise(self) -> NormaliseConfig:
        return NormaliseConfig(attribution=self.attribution)
