"""One exporter's loop: take what is due, send it, record what became of it. The decisions are made elsewhere."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tokensense_otel.core.component import Clock
from tokensense_otel.core.insight import decode_insight
from tokensense_otel.exporters import events
from tokensense_otel.exporters.config import redacted, secrets_of
from tokensense_otel.exporters.delivery.digest import digest
from tokensense_otel.exporters.delivery.down import Health
from tokensense_otel.exporters.delivery.endpoint import Change, Endpoint
from tokensense_otel.exporters.delivery.lane import Lanes
from tokensense_otel.exporters.delivery.picker import Picker, Shipment
from tokensense_otel.exporters.delivery.policy import Outcome, Policy, judge, of_digest
from tokensense_otel.exporters.errors import EndpointDown, Reject, Retry, Throttle
from tokensense_otel.exporters.exporter import RECEIPT_BYTES, NamedExporter, Payload, Receipt
from tokensense_otel.exporters.muting.gate import Gate
from tokensense_otel.store.outbox import Outbox, State, Verdict

StoreCall = Callable[..., Awaitable[Any]]
"""Runs a function of the outbox off the event loop: `await store(outbox.begin, batch)`."""

IDLE_S = 1.0
"""How often an exporter with nothing to do looks again: for retries that fall due, and for replays by hand."""

_MARGIN_S = 1.0  # the HTTP client's own deadline comes first: it knows what is ambiguous
_REASON_CHARS = 1000


class Sender:
    def __init__(
        self,
        named: NamedExporter,
        outbox: Outbox,
        gate: Gate,
        *,
        store: StoreCall,
        clock: Clock,
        jitter: Callable[[], float],
        policy: Policy,
    ) -> None:
        self._name = named.name
        self._exporter = named.exporter
        self._deadline_s = named.config.timeout_s + _MARGIN_S
        self._secrets = secrets_of(named.config)
        self._outbox = outbox
        self._store = store
        self._clock = clock
        self._jitter = jitter
        self._policy = policy
        self._endpoint = Endpoint(policy)
        self._lanes = Lanes()
        self._picker = Picker(named.name, outbox, gate, self._lanes, policy, clock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: list[tuple[Shipment, list[Verdict]]] = []
        self._returned = False
        self._complaint = ""
        self._failing_since_ns: int | None = None
        self._delivered_ns = 0
        self._trouble = ""
        self._stopping = False
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look at the outbox now."""
        self._wake.set()

    @property
    def health(self) -> Health:
        """What is known of the endpoint. A reason holds no secret."""
        return Health(self._failing_since_ns, self._delivered_ns, self._trouble)

    def stop(self) -> None:
        """Start nothing more; `run` returns when what is under way has ended and is recorded."""
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        """Deliver until `stop`. Cancelled, it drops what is under way, which stays pending."""
        try:
            while True:
                self._wake.clear()
                try:
                    await self._record()
                    if not self._stopping:
                        await self._launch()
                except Exception as error:  # noqa: BLE001 - a full disk or a locked store must not end delivery
                    events.RING_FAILED(part=self._name, error=redacted(str(error), self._secrets)[:_REASON_CHARS])
                if self._stopping and not self._tasks and not self._ended:
                    return
                await self._pause()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _record(self) -> None:
        ended = list(self._ended)
        if not ended:
            return
        if self._returned:
            await self._store(self._outbox.expedite, self._name)
            self._returned = False
        batch = [pair for shipment, verdicts in ended for pair in zip(shipment, verdicts, strict=True)]
        await self._store(self._outbox.record, batch)
        del self._ended[: len(ended)]
        for shipment, _ in ended:
            self._lanes.release_all(shipment)
        for delivery, verdict in batch:
            if verdict.state is State.DEAD:
                events.DEAD(exporter=self._name, insight=delivery.insight_id, reason=verdict.reason)
            elif verdict.degraded and not delivery.degraded:
                events.DEGRADED(exporter=self._name, insight=delivery.insight_id, reason=verdict.reason)

    async def _launch(self) -> None:
        now = self._clock()
        slots = self._endpoint.slots(now, len(self._tasks))
        if not slots:
            return
        shipments: list[Shipment] = await self._store(self._picker.pick, slots, probe=self._endpoint.open)
        if not shipments:
            return
        self._endpoint.started(now)
        for shipment in shipments:
            task = asyncio.create_task(self._attempt(shipment), name=f"send to {self._name}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        events.IN_FLIGHT.set(len(self._tasks), exporter=self._name)

    async def _attempt(self, shipment: Shipment) -> None:
        payload: Payload | None = None
        outcome: Outcome
        first, began_ns = shipment[0], self._clock()
        alone = len(shipment) == 1
        try:
            payload = self._rendered(shipment)
            sent = payload.degraded() if alone and first.degraded else payload
            prior = Receipt(first.prior) if alone and first.prior is not None else None
            async with asyncio.timeout(self._deadline_s):
                outcome = _checked(await self._exporter.send(sent, prior))
        except TimeoutError:
            outcome = Retry("no answer in time", ambiguous=True)
        except Exception as error:  # noqa: BLE001 - somebody else's code: whatever it does stays in its lane
            outcome = error
        has_fallback = payload is not None and payload.fallback is not None
        self._conclude(shipment, outcome, began_ns, has_fallback=has_fallback)

    def _rendered(self, shipment: Shipment) -> Payload:
        """Render is pure, so what fails once fails always: that is a dead letter and not a retry."""
        try:
            insights = [decode_insight(delivery.body) for delivery in shipment]
            return self._exporter.render(insights[0] if len(insights) == 1 else digest(insights))
        except Exception as error:
            self._bug(error)
            raise Reject(f"it could not be rendered ({type(error).__name__}: {error})") from error

    def _conclude(self, shipment: Shipment, outcome: Outcome, began_ns: int, *, has_fallback: bool) -> None:
        now = self._clock()
        verdicts: list[Verdict] = []
        for delivery in shipment:
            counted = msgspec.structs.replace(delivery, attempts=delivery.attempts + 1)
            verdict = judge(
                counted, outcome, has_fallback=has_fallback, policy=self._policy, now_ns=now, jitter=self._jitter()
            )
            reason = redacted(verdict.reason, self._secrets)[:_REASON_CHARS]
            verdicts.append(msgspec.structs.replace(verdict, reason=reason))
        if len(shipment) > 1:
            verdicts = [of_digest(verdict, outcome) for verdict in verdicts]
        self._ended.append((shipment, verdicts))
        change = self._endpoint.observe(outcome, now, began_ns)
        self._returned = self._returned or change is Change.CLOSED
        self.wake()
        reason = verdicts[0].reason
        self._learn(outcome, now, reason)
        self._report(outcome, verdicts[0], reason)
        if change is Change.OPENED and isinstance(outcome, EndpointDown):
            events.ENDPOINT_DOWN(exporter=self._name, reason=reason)
        elif change is Change.CLOSED:
            events.ENDPOINT_BACK(exporter=self._name)

    def _learn(self, outcome: Outcome, now_ns: int, reason: str) -> None:
        """How the endpoint is; a rejection proves that it is there, and a throttle proves nothing."""
        if isinstance(outcome, Receipt | Reject):
            self._failing_since_ns, self._delivered_ns = None, now_ns
        elif not isinstance(outcome, Throttle):
            self._failing_since_ns = self._failing_since_ns or now_ns
            self._trouble = reason

    def _report(self, outcome: Outcome, verdict: Verdict, reason: str) -> None:
        events.ATTEMPT(exporter=self._name, outcome=_label(outcome))
        if verdict.ambiguous:
            events.AMBIGUOUS(exporter=self._name)
        if isinstance(outcome, Receipt):
            self._complaint = ""
        elif _label(outcome) == "bug":
            self._bug(outcome)
        elif isinstance(outcome, Retry) and reason != self._complaint:
            self._complaint = reason
            events.FAILING(exporter=self._name, reason=reason)

    def _bug(self, error: Exception) -> None:
        said = redacted(f"{type(error).__name__}: {error}", self._secrets)[:_REASON_CHARS]
        events.EXPORTER_BUG(exporter=self._name, error=said)

    async def _pause(self) -> None:
        wait_s = self._endpoint.wait_s(self._clock())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(wait_s, IDLE_S) or IDLE_S):
                await self._wake.wait()


def _checked(receipt: object) -> Receipt:
    if not isinstance(receipt, Receipt):
        raise TypeError(f"send returned {type(receipt).__name__}, not a Receipt")
    if len(msgspec.json.encode(receipt.data)) > RECEIPT_BYTES:
        raise ValueError(f"the receipt is larger than {RECEIPT_BYTES} bytes")
    return receipt


def _label(outcome: Outcome) -> str:
    for kind, label in _LABELS.items():
        if isinstance(outcome, kind):
            return label
    return "bug"


_LABELS: dict[type, str] = {
    Receipt: "delivered",
    Reject: "rejected",
    Throttle: "throttled",
    EndpointDown: "endpoint_down",
    Retry: "retry",
}
