"""The exporters as a component: what the `exporters` process runs."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sqlalchemy import Engine

from tokensense_otel.core.component import Clock, system_clock
from tokensense_otel.core.errors import ConfigError
from tokensense_otel.exporters.config import HttpExporterConfig, redacted, secrets_of
from tokensense_otel.exporters.dead_mans_switch.config import DeadMansSwitchConfig
from tokensense_otel.exporters.dead_mans_switch.switch import DeadMansSwitch
from tokensense_otel.exporters.delivery.ring import Ring
from tokensense_otel.exporters.exporter import Context, NamedExporter
from tokensense_otel.exporters.http.client import HttpClient
from tokensense_otel.exporters.muting.config import MaintenanceConfig
from tokensense_otel.exporters.muting.gate import Gate
from tokensense_otel.store.outbox import Outbox


class Running:
    """A started exporter with the HTTP client it was lent."""

    def __init__(self, named: NamedExporter, clock: Clock = system_clock) -> None:
        config = named.config
        self.named = named
        self._http = HttpClient(
            allow_private=isinstance(config, HttpExporterConfig) and config.allow_private,
            deadline_s=config.timeout_s,
            connections=config.max_in_flight,
            clock=clock,
        )

    async def start(self) -> None:
        """Start the exporter.

        Raises:
            ConfigError: with the exporter's name, whatever it raised.
        """
        try:
            await self.named.exporter.start(Context(self.named.name, self._http))
        except Exception as error:  # noqa: BLE001 - somebody else's code
            await self.stop()
            said = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
            text = redacted(said, secrets_of(self.named.config))
            raise ConfigError(f"exporters.{self.named.name}: it could not be started: {text}") from None

    async def stop(self) -> None:
        try:
            await self.named.exporter.aclose()
        finally:
            await self._http.aclose()


class Exporters:
    """Delivers every insight of the store to every exporter, at least once, until it is stopped.

    `receivers` are the processes whose heartbeats are passed on to `switch`, where there are any.
    """

    def __init__(
        self,
        exporters: Sequence[NamedExporter],
        engine: Engine,
        clock: Clock = system_clock,
        *,
        maintenance: Mapping[str, MaintenanceConfig] = MappingProxyType({}),
        switch: DeadMansSwitchConfig | None = None,
        receivers: Sequence[str] = (),
        grace_s: float = 10.0,
    ) -> None:
        self._exporters = exporters
        self._engine = engine
        self._clock = clock
        self._maintenance = maintenance
        self._grace_s = grace_s
        self._running: list[Running] = []
        self._ring: Ring | None = None
        self._switch_config = switch or DeadMansSwitchConfig()
        self._receivers = receivers
        self._switch: DeadMansSwitch | None = None

    async def start(self) -> None:
        """Start the exporters, then deliver.

        Raises:
            ConfigError: when an exporter cannot be started; those that were are stopped again.
        """
        try:
            for named in self._exporters:
                running = Running(named, self._clock)
                await running.start()
                self._running.append(running)
            gate = Gate(self._engine, self._maintenance, self._clock)
            self._ring = Ring(Outbox(self._engine, self._clock), self._exporters, gate=gate, clock=self._clock)
            await self._ring.start()
            if self._receivers:
                self._switch = DeadMansSwitch(
                    self._switch_config,
                    self._engine,
                    receivers=self._receivers,
                    delivers=self._delivers,
                    clock=self._clock,
                )
                await self._switch.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Finish the sends under way, within the grace; the rest stays in the outbox for the next start."""
        if self._switch is not None:
            await self._switch.stop()
            self._switch = None
        if self._ring is not None:
            await self._ring.stop(self._grace_s)
            self._ring = None
        while self._running:
            await self._running.pop().stop()

    def _delivers(self) -> bool:
        return self._ring is not None and self._ring.delivers
