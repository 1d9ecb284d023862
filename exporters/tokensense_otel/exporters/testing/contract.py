"""The contract as pytest classes: subclass one, name your exporter, and its tests are yours.

`ExporterContract` asks what holds for every exporter; `HttpExporterContract` adds what a network does to it.
"""

# ruff: noqa: S101 - assertions are what this is for

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokensense_otel.core.component import system_clock
from tokensense_otel.core.errors import ConfigError
from tokensense_otel.core.insight import Insight, Severity, Status, encode_insight
from tokensense_otel.exporters.config import HttpExporterConfig
from tokensense_otel.exporters.errors import EndpointDown, Reject, Retry, Throttle
from tokensense_otel.exporters.exporter import RECEIPT_BYTES, Context, Exporter, NamedExporter, Payload, Receipt
from tokensense_otel.exporters.http.client import HttpClient
from tokensense_otel.exporters.registry import load_exporters
from tokensense_otel.exporters.testing.fault_server import Fault, FaultServer
from tokensense_otel.exporters.trial import trial_insight

_text = st.text(max_size=400) | st.sampled_from(
    [
        "<!channel> & <https://x|y>",
        "a\r\nX-Injected: 1",
        "\x00\u202e",
        "𝒳" * 4000,
        "👩‍👩‍👧‍👦" * 900,
        "e\u0301" * 2000,
        "{{7*7}}",
    ]
)
_value = (
    _text | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.none() | st.lists(_text, max_size=4)
)
insights = st.builds(
    Insight,
    id=st.from_regex(r"in_[0-9a-f]{24}", fullmatch=True),
    episode_id=st.from_regex(r"ep_[0-9a-f]{24}", fullmatch=True),
    status=st.sampled_from(Status),
    rule=st.sampled_from(["SPIKE", "MODEL_MISUSE"]),
    severity=st.sampled_from(Severity),
    tenant=_text,
    project=_text,
    scope=st.dictionaries(_text, _text, max_size=12),
    title=_text,
    summary=_text,
    evidence=st.dictionaries(_text, _value, max_size=20),
    suggested_fix=_text,
    estimated_monthly_savings_usd=st.none() | st.sampled_from(["0", "0.0125", "12345.6"]),
    started_at=st.just("2026-01-01T12:00:00Z"),
    detected_at=st.just("2026-01-01T12:00:05Z"),
    resolved_at=st.none() | st.just("2026-01-01T13:00:00Z"),
    links=st.dictionaries(_text, _text | st.just("https://example.com/a?b=1&c=2"), max_size=6),
)
"""Insights with whatever text a sender of spans can put into one."""


@contextlib.asynccontextmanager
async def client(*, allow_private: bool = True, deadline_s: float = 5.0) -> AsyncIterator[HttpClient]:
    """An `HttpClient` for the length of a block."""
    http = HttpClient(allow_private=allow_private, deadline_s=deadline_s)
    try:
        yield http
    finally:
        await http.aclose()


class ExporterContract:
    exporter: ClassVar[Any]
    """The class under test."""
    max_bytes: ClassVar[int] = 512_000
    """The most that a rendered body may be, as JSON."""
    canary: ClassVar[str] = "canary-5c1d0e7f9ab2"
    """Put it into every secret of `section`; no test may find it anywhere again."""

    def section(self, url: str) -> dict[str, Any]:
        """The keys of a working configuration, without `type`. HTTP exporters post to `url`."""
        raise NotImplementedError

    def build(self, url: str = "http://127.0.0.1:9/hook", **changes: Any) -> NamedExporter:
        """The exporter as a configuration would build it."""
        config = self.exporter.Config.model_validate({"type": "under-test", **self.section(url), **changes})
        return NamedExporter("under-test", self.exporter(config), config)

    def test_unknown_keys_are_refused(self) -> None:
        """A misspelt key is an error that names it."""
        with pytest.raises(ValueError, match="no_such_key"):
            self.build(no_such_key=1)

    def test_secrets_do_not_print(self) -> None:
        """Neither the configuration nor the exporter shows a secret in its repr."""
        named = self.build()
        assert self.canary not in f"{named!r} {named.config!r} {named.config} {named.exporter!r} {vars(named.exporter)}"

    def test_render_is_pure_and_bounded(self) -> None:
        """Any insight renders, twice the same, under its own ids, as JSON within the limit, without secrets."""
        exporter = self.build().exporter
        slow = [HealthCheck.too_slow, HealthCheck.data_too_large]

        @settings(max_examples=60, deadline=None, suppress_health_check=slow)
        @given(insight=insights)
        def check(insight: Insight) -> None:
            before = encode_insight(insight)
            payload = exporter.render(insight)
            assert payload == exporter.render(insight)
            assert encode_insight(insight) == before
            assert (payload.id, payload.episode_id) == (insight.id, insight.episode_id)
            for body in (payload.body, payload.fallback):
                encoded = msgspec.json.encode(body)
                assert len(encoded) <= self.max_bytes
                assert self.canary.encode() not in encoded

        check()

    def test_close_twice_and_before_start(self) -> None:
        """`aclose` may be called without `start`, and twice."""

        async def close() -> None:
            exporter = self.build().exporter
            await exporter.aclose()
            async with client() as http:
                await exporter.start(Context("under-test", http))
                await exporter.aclose()
                await exporter.aclose()

        asyncio.run(close())

    def test_loads_from_a_file(self, tmp_path: Path) -> None:
        """`type: ./file.py:Class` finds it, and a class of another name is refused in one line."""
        module, name = self.exporter.__module__, self.exporter.__name__
        (tmp_path / "mine.py").write_text(f"from {module} import {name}\n", encoding="utf-8")
        section = self.section("http://127.0.0.1:9/hook")
        [named] = load_exporters({"mine": {"type": f"./mine.py:{name}", **section}}, base_dir=tmp_path)
        assert type(named.exporter).__name__ == name
        with pytest.raises(ConfigError, match=r"exporters\.mine\.type: .* has no 'Other'"):
            load_exporters({"mine": {"type": "./mine.py:Other", **section}}, base_dir=tmp_path)


class HttpExporterContract(ExporterContract):
    success: ClassVar[Fault] = Fault()
    """What the real destination answers when it takes a message."""
    deadline_s: ClassVar[float] = 0.4

    def build(self, url: str = "http://127.0.0.1:9/hook", **changes: Any) -> NamedExporter:
        return super().build(url, **{"allow_private": True, **changes})

    def deliver(self, server: FaultServer, *, insight: Insight | None = None, **changes: Any) -> Receipt:
        """Send one insight to the server."""
        return asyncio.run(self._deliver(server, insight or trial_insight(system_clock()), changes))

    async def _deliver(self, server: FaultServer, insight: Insight, changes: dict[str, Any]) -> Receipt:
        async def send(exporter: Exporter) -> Receipt:
            return await exporter.send(exporter.render(insight), None)

        return await self._started(server, send, changes)

    async def _started(
        self, server: FaultServer, use: Callable[[Exporter], Awaitable[Receipt]], changes: dict[str, Any]
    ) -> Receipt:
        named = self.build(server.url(f"/{self.canary}"), **changes)
        allowed = isinstance(named.config, HttpExporterConfig) and named.config.allow_private
        async with client(allow_private=allowed, deadline_s=self.deadline_s) as http:
            await named.exporter.start(Context(named.name, http))
            try:
                return await use(named.exporter)
            finally:
                await named.exporter.aclose()

    def test_a_success_gives_a_receipt(self) -> None:
        """One request, a POST, and a receipt that can be kept."""
        with FaultServer(self.success) as server:
            receipt = self.deliver(server)
        assert [request.method for request in server.requests] == ["POST"]
        assert len(json.dumps(receipt.data)) <= RECEIPT_BYTES

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            *((status, EndpointDown) for status in (301, 302, 303, 307, 308, 401, 403, 404, 410)),
            *((status, Reject) for status in (400, 413, 415, 422)),
            *((status, Retry) for status in (408, 425, 500, 502, 503, 504)),
            (429, Throttle),
        ],
    )
    def test_statuses_have_their_outcome(self, status: int, expected: type[Exception]) -> None:
        """Each status that refuses is raised as its class, after one request and without a secret in the text."""
        with FaultServer(Fault(status, body=self.canary.encode())) as server, pytest.raises(expected):
            self.deliver(server)
        assert len(server.requests) == 1

    @pytest.mark.parametrize(("value", "seconds"), [("3", 3), ("0.5", 0.5), ("-4", 0), ("1e9", 3600), ("soon", 30)])
    def test_retry_after_is_read(self, value: str, seconds: float) -> None:
        """Whole, broken, negative, absurd and unreadable forms become seconds within an hour."""
        with FaultServer(Fault(429, {"Retry-After": value})) as server, pytest.raises(Throttle) as caught:
            self.deliver(server)
        assert caught.value.delay_s == seconds

    def test_redirects_are_not_followed(self) -> None:
        """The address that a redirect names is never asked."""
        with FaultServer() as inner, FaultServer(Fault(302, {"Location": inner.url("/secret")})) as server:
            with pytest.raises(EndpointDown, match="redirect"):
                self.deliver(server)
            assert inner.connections == 0

    @pytest.mark.parametrize("kind", ["reset", "hang", "drip-headers"])
    def test_no_verdict_is_ambiguous(self, kind: str) -> None:
        """A request that got no answer in time may have arrived: a retry that says so."""
        with FaultServer(Fault(kind=kind)) as server, pytest.raises(Retry) as caught:
            self.deliver(server)
        assert caught.value.ambiguous

    @pytest.mark.parametrize("kind", ["cut", "drip-body", "huge"])
    def test_a_success_with_a_broken_body_is_a_success(self, kind: str) -> None:
        """The status is the verdict: a body that is cut, endless or 8 MB long costs a bounded time and counts."""
        with FaultServer(Fault(self.success.status, body=b"{", kind=kind, size=8_000_000)) as server:
            self.deliver(server)
        assert len(server.requests) == 1

    def test_nobody_there_is_a_retry(self) -> None:
        """A refused connection is a retry without ambiguity: nothing left."""
        with FaultServer() as server:
            pass
        with pytest.raises(Retry) as caught:
            self.deliver(server)
        assert not caught.value.ambiguous

    def test_private_addresses_are_refused(self) -> None:
        """Without `allow_private`, loopback is not even dialled."""
        with FaultServer() as server:
            with pytest.raises(EndpointDown, match="allow_private"):
                self.deliver(server, allow_private=False)
            assert server.connections == 0

    def test_errors_hold_no_secret(self) -> None:
        """Whatever goes wrong, neither the URL nor a key is in the error's text."""
        faults = [Fault(status) for status in (302, 400, 401, 410, 429, 500)]
        faults += [Fault(kind=kind) for kind in ("reset", "hang")]
        for fault in faults:
            with FaultServer(fault) as server, pytest.raises((Retry, Throttle, Reject, EndpointDown)) as caught:
                self.deliver(server)
            assert self.canary not in f"{caught.value!s}{caught.value!r}"

    def test_a_cancelled_send_leaves_it_usable(self) -> None:
        """A send that is cancelled half-way does not harm the next."""

        async def use(exporter: Exporter) -> Receipt:
            payload = exporter.render(trial_insight(system_clock()))
            task = asyncio.create_task(exporter.send(payload, None))
            await asyncio.to_thread(server.wait_for, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await exporter.send(payload, None)

        with FaultServer(self.success) as server:
            server.next(Fault(kind="hang"))
            asyncio.run(self._started(server, use, {}))
        assert len(server.requests) == 2

    def test_sends_at_the_same_time(self) -> None:
        """Messages of different episodes may be sent at once, and each arrives as itself."""

        async def use(exporter: Exporter) -> Receipt:
            told = (msgspec.structs.replace(trial_insight(number), title=f"number {number}") for number in range(8))
            payloads: list[Payload] = [exporter.render(insight) for insight in told]
            receipts = await asyncio.gather(*(exporter.send(payload, None) for payload in payloads))
            return receipts[0]

        with FaultServer(self.success) as server:
            asyncio.run(self._started(server, use, {}))
        assert len({request.body for request in server.requests}) == 8
