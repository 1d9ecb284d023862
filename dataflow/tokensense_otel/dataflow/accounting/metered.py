"""Calls that nothing but metrics tells of: counted interval by interval, and never on top of spans or log records.

After every `ingest` the sum of all postings is a function of the set of points and of the set of covered minutes, so
neither order, nor batches, nor resends matter: where spans come after the metrics, what was posted is reversed.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator

import msgspec

from tokensense_otel.core.call import Call, Posting
from tokensense_otel.core.usage import Accounting
from tokensense_otel.dataflow import events
from tokensense_otel.dataflow.accounting.changes import Changes
from tokensense_otel.dataflow.accounting.config import AccountingConfig
from tokensense_otel.dataflow.accounting.coverage import Coverage
from tokensense_otel.dataflow.accounting.ledger import Price
from tokensense_otel.dataflow.accounting.meter import Interval, Meter, posting_of, priced
from tokensense_otel.dataflow.accounting.sameness import names_agree, order
from tokensense_otel.dataflow.accounting.series import Series
from tokensense_otel.dataflow.facts import Covered, MeterPoint
from tokensense_otel.dataflow.snapshots import check_version

VERSION = 1
_SECOND = 1_000_000_000
_FORGET_EVERY_NS = 900 * _SECOND
_MAX_SERVICES = 10_000

ServiceKey = tuple[str, str]


Touched = dict[bytes, int]
"""Meter → the end of the earliest of its intervals that may have changed."""


class _Service(msgspec.Struct, array_like=True):
    """What a tenant's service sends."""

    coverage: Coverage = msgspec.field(default_factory=Coverage)
    meters: dict[bytes, Meter] = {}
    watched: dict[bytes, int] = {}
    """Resource → the earliest moment of any of its points."""
    last_ns: int = 0

    def covered(self, models: tuple[str, str]) -> list[bytes]:
        """The meters with calls on the books that may be about these models."""
        return [
            meter_id for meter_id, meter in self.meters.items() if meter.posted and names_agree(models, _models(meter))
        ]


class _State(msgspec.Struct, array_like=True):
    version: int
    services: list[tuple[ServiceKey, _Service]]
    forgot_ns: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_State)


class MeteredCalls:
    """One shard by tenant and service. `price` says what one call costs."""

    def __init__(self, config: AccountingConfig, price: Price) -> None:
        self._config = config
        self._price = price
        self._horizon_ns = round(config.meter_horizon_s * _SECOND)
        self._services: OrderedDict[ServiceKey, _Service] = OrderedDict()
        self._series = 0
        self._forgot_ns = 0

    def ingest(self, items: Iterable[MeterPoint | Covered], now_ns: int) -> Changes:
        """Account what was received at `now_ns`."""
        changes = Changes()
        touched: dict[ServiceKey, tuple[_Service, Touched]] = {}
        refused = late = 0
        for item in items:
            key = item.tenant, item.service
            service, changed = touched.setdefault(key, (self._service(key, now_ns), {}))
            if isinstance(item, Covered):
                if service.coverage.add(item):
                    changed |= dict.fromkeys(service.covered((item.request_model, item.response_model)), 0)
                continue
            meter = service.meters.get(item.meter) or Meter.of(item)
            if item.time_ns <= max(now_ns - self._horizon_ns, meter.closed_ns):
                late += 1
                continue
            series = meter.series_of(item, room=self._series < self._config.max_meter_series)
            if series is None:
                refused += 1
                continue
            is_new = not series.last_ns
            self._series += is_new
            for meter_id, since_ns in self._take(service, meter, series, item, now_ns).items():
                changed[meter_id] = 0 if is_new else min(since_ns, changed.get(meter_id, since_ns))
        for service, meters in touched.values():
            self._settle(service, meters, changes)
        if refused:
            events.METER_SERIES_REFUSED(refused)
        if late:
            events.METER_POINTS_LATE(late)
        return changes

    def advance(self, now_ns: int) -> Changes:
        """Forget what is older than the horizon. What it came to is already on the books."""
        before_ns = now_ns - self._horizon_ns
        self._forgot_ns = now_ns
        for key, service in list(self._services.items()):
            for meter_id, meter in list(service.meters.items()):
                meter.close(before_ns)
                self._series -= meter.forget(before_ns)
                if not meter.series:
                    del service.meters[meter_id]
            service.coverage.forget(before_ns)
            watching = {meter.resource for meter in service.meters.values()}
            service.watched = {each: since_ns for each, since_ns in service.watched.items() if each in watching}
            if service.last_ns <= before_ns and not service.meters:
                del self._services[key]
        return Changes()

    def next_wake(self) -> int | None:
        """When `advance` has something to do, in Unix nanoseconds."""
        return self._forgot_ns + _FORGET_EVERY_NS if self._services else None

    def snapshot(self) -> bytes:
        return _encoder.encode(_State(VERSION, list(self._services.items()), self._forgot_ns))

    @classmethod
    def restore(cls, config: AccountingConfig, price: Price, snapshot: bytes) -> "MeteredCalls":
        """The shard that gave this snapshot.

        Raises:
            ValueError: when the snapshot is of another version.
        """
        check_version(snapshot, VERSION, "metered calls")
        state = _decoder.decode(snapshot)
        shard = cls(config, price)
        shard._services = OrderedDict(state.services)
        shard._forgot_ns = state.forgot_ns
        shard._series = sum(len(meter.series) for each in shard._services.values() for meter in each.meters.values())
        return shard

    def _service(self, key: ServiceKey, now_ns: int) -> _Service:
        service = self._services.get(key)
        if service is None:
            if not self._services:
                self._forgot_ns = now_ns
            while len(self._services) >= _MAX_SERVICES:
                # Without meters, a service is only kept for metrics that may still come.
                idle = next((each for each, kept in self._services.items() if not kept.meters), None)
                if idle is None:
                    break
                del self._services[idle]
            service = self._services[key] = _Service()
        service.last_ns = max(service.last_ns, now_ns)
        self._services.move_to_end(key)
        return service

    @staticmethod
    def _take(service: _Service, meter: Meter, series: Series, point: MeterPoint, now_ns: int) -> Touched:
        """Take a point in; the meters of which it changes anything."""
        service.meters[point.meter] = meter
        series.last_ns = max(series.last_ns, now_ns, 1)
        since_ns = series.take(point.start_ns, point.time_ns, point.value)
        changed = {} if since_ns is None else {point.meter: since_ns}
        if point.time_ns < service.watched.get(point.resource, 1 << 64):
            service.watched[point.resource] = point.time_ns
            changed |= {meter_id: 0 for meter_id, each in service.meters.items() if each.resource == point.resource}
        return changed

    def _settle(self, service: _Service, touched: Touched, changes: Changes) -> None:
        """Post the difference between what the meters came to before and what they come to now."""
        if not touched:
            return
        # What a meter tells also decides whether meters of higher rank count.
        lowest = min(service.meters[meter_id].rank for meter_id in touched)
        for meter_id, meter in sorted(service.meters.items()):
            if meter.rank > lowest:
                self._settle_meter(meter, 0, service, changes)
            elif meter_id in touched:
                self._settle_meter(meter, touched[meter_id], service, changes)

    def _settle_meter(self, meter: Meter, since_ns: int, service: _Service, changes: Changes) -> None:
        intervals = meter.intervals(service.watched[meter.resource], since_ns)
        wanted = {
            interval.to_ns: posting_of(meter, interval)
            for interval in self._uncovered(meter, intervals, service)
            if interval.to_ns - interval.from_ns <= self._horizon_ns
        }
        gone: list[Call] = []
        come: list[Call] = []
        for to_ns in wanted.keys() | {to_ns for to_ns in meter.posted if to_ns >= since_ns}:
            new, old = wanted.get(to_ns), meter.posted.get(to_ns)
            if new is not None and old is not None and new == msgspec.structs.replace(old, cost=new.cost):
                continue
            if old is not None:
                gone.append(meter.posted.pop(to_ns))
            if new is not None:
                meter.posted[to_ns] = msgspec.structs.replace(new, cost=priced(new, self._price))
                come.append(meter.posted[to_ns])
        changes.postings += [Posting(-1, call) for call in sorted(gone, key=order)]
        changes.postings += [Posting(1, call) for call in sorted(come, key=order)]
        more = sum(call.count for call in come) - sum(call.count for call in gone)
        changes.account(meter.call.tenant, Accounting(calls=more, metered=more))
        keep = self._config.meter_intervals
        if meter.length > keep + keep // 4:
            intervals = meter.intervals(service.watched[meter.resource])
            if len(intervals) > keep:
                meter.close(intervals[-keep - 1].to_ns)

    @staticmethod
    def _uncovered(meter: Meter, intervals: list[Interval], service: _Service) -> Iterator[Interval]:
        """The intervals of whose calls neither a span, nor a log record, nor a meter of lower rank tells."""
        better = [
            other
            for other in service.meters.values()
            if other.rank < meter.rank and names_agree(_models(other), _models(meter))
        ]
        told = [interval for other in better for interval in other.intervals(service.watched[other.resource])]
        closed_ns = max((other.closed_ns for other in better), default=0)
        for interval in intervals:
            if interval.from_ns < closed_ns or any(_overlap(interval, other) for other in told):
                continue
            if not service.coverage.covers(meter.call, interval.from_ns, interval.to_ns):
                yield interval


def _models(meter: Meter) -> tuple[str, str]:
    return meter.call.request_model, meter.call.response_model


def _overlap(one: Interval, two: Interval) -> bool:
    return max(one.from_ns, two.from_ns) < min(one.to_ns, two.to_ns)
