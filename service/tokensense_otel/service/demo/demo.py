"""`tokensense demo`: start everything, misbehave in each way the rules know, and show what is found."""

import signal
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from tokensense_otel.core.component import system_clock
from tokensense_otel.core.insight import Insight, Status
from tokensense_otel.service.demo.api import Api
from tokensense_otel.service.demo.scenarios import Plan, plan
from tokensense_otel.service.demo.stack import FREE_PORTS, NotReady, Stack
from tokensense_otel.service.demo.traffic import Endpoints, Traffic
from tokensense_otel.service.demo.view import View

_SENDING_SHARE: Final = 0.75
_GRACE_S: Final = 20.0
_TICK_S: Final = 0.1
_INTERRUPTED: Final = 130


def run_demo(duration_s: float = 45.0, keep: bool = False, plain: bool = False) -> int:
    """Run the demo for about `duration_s` seconds; with `keep`, leave everything up until ctrl-C.

    Returns the exit code: 0 when every call was counted and every rule fired, 1 with the reasons printed when not,
    130 when it was interrupted. Its processes and its folder are gone when it returns.
    """
    view = View(plain=plain)
    view.line("starting `tokensense up` on free ports …")
    with tempfile.TemporaryDirectory(prefix="tokensense-demo-") as folder, _interruptible():
        try:
            with Stack(Path(folder), FREE_PORTS) as stack:
                demo = _Demo(plan(), stack, Api(stack.endpoints["api"]), view)
                view.opening(demo.plan, stack.endpoints)
                code = demo.run(duration_s)
                if keep:
                    demo.keep()
                return code
        except NotReady as error:
            view.line(str(error))
            return 1
        except KeyboardInterrupt:
            view.line("interrupted; stopped")
            return _INTERRUPTED


class _Demo:
    """One run against a stack that is up."""

    def __init__(self, planned: Plan, stack: Stack, api: Api, view: View) -> None:
        self.plan = planned
        self._stack = stack
        self._api = api
        self._view = view
        self._insights: list[Insight] = []
        self._began = time.monotonic()

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def run(self, duration_s: float) -> int:
        """Send, watch, and end as soon as everything planned has been seen, or some time after it should have been."""
        endpoints = Endpoints(self._stack.endpoints["grpc"], self._stack.endpoints["http"])
        with closing(Traffic(self.plan, endpoints, system_clock)) as traffic:
            while not traffic.finished:
                traffic.send_until(self._elapsed_s / (duration_s * _SENDING_SHARE))
                self._watch()
            traffic.finish()
            while True:
                self._watch()
                usage = self._api.usage()
                gaps = shortfalls(self.plan, traffic.sent, sum(team.calls for team in usage), self._insights)
                if not gaps or self._elapsed_s > duration_s + _GRACE_S:
                    break
        self._view.summary(traffic.sent, usage, self._insights, gaps)
        return 1 if gaps else 0

    def keep(self) -> None:
        """Show what else happens until ctrl-C."""
        endpoints = self._stack.endpoints
        try:
            self._view.line()
            self._view.line(f"send more to OTLP gRPC {endpoints['grpc']} or OTLP HTTP http://{endpoints['http']}")
            api = f"http://{endpoints['api']}"
            self._view.line(f"still up until ctrl-C: {api}/api/v1/insights  /api/v1/usage  /metrics")
            while True:
                self._watch()
        except KeyboardInterrupt:
            self._view.line("stopped")

    def _watch(self) -> None:
        for insight in self._api.new_insights():
            self._insights.append(insight)
            self._view.insight(insight, self._elapsed_s)
        time.sleep(_TICK_S)


def shortfalls(planned: Plan, sent: int, counted: int, insights: Iterable[Insight]) -> list[str]:
    """What did not go as planned, one line each; empty when all did."""
    gaps = []
    if sent != len(planned.calls):
        gaps.append(f"{len(planned.calls)} calls were planned, {sent} were sent")
    if counted != sent:
        gaps.append(f"{sent} calls were sent, {counted} were counted")
    fired = {insight.rule for insight in insights if insight.status is Status.FIRING}
    gaps.extend(f"{rule} did not fire" for rule in sorted(planned.expected_rules - fired))
    return gaps


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and a closed terminal end the demo like ctrl-C does, so that it cleans up."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
