"""State of one session, or of one trace that names no session: its newest calls, and the tools that it used."""

from bisect import bisect_left, insort
from typing import Any, Final

from tokensense_otel.dataflow.facts import ToolUse
from tokensense_otel.dataflow.rules.evaluation.durations import SECOND_NS
from tokensense_otel.dataflow.rules.evaluation.series import CallSeries
from tokensense_otel.dataflow.rules.evaluation.windows import Rolling

LINGER_NS: Final = 6 * 3_600 * SECOND_NS
"""A session that nothing was heard of for so long is forgotten."""
STEPS: Final = 128
"""Newest calls of which the context is kept."""
SIGNATURES: Final = 64
"""Different tools and arguments that are followed at once."""
USES: Final = 64
"""Newest uses of each that are kept."""
COMPACTED: Final = 5
"""A context that falls by more than a fifth of its largest was cut back: its growth begins anew."""

Step = tuple[int, str, int]
"""End of a call, its model, and its input that no cache served."""
Signature = tuple[str, str, str]
"""Who tells of a use, the tool's name, and the hash of its arguments."""


class SessionSeries(CallSeries):
    """Bounded: what is given up makes counts smaller, never larger."""

    __slots__ = ("_horizon_ns", "steps", "uses")

    def __init__(self, window: Rolling, horizon_ns: int) -> None:
        super().__init__(window)
        self._horizon_ns = horizon_ns
        """What is older than this says nothing of now."""
        self.steps: list[Step] = []
        """Oldest first."""
        self.uses: dict[Signature, list[int]] = {}
        """Times, oldest first; of what was used last at the end."""

    @property
    def empty(self) -> bool:
        return self.now_ns - self.last_ns > LINGER_NS

    @property
    def silent(self) -> bool:
        return self.window.empty and not self.uses

    @property
    def weight(self) -> int:
        return self.window.totals[0] + max(map(len, self.uses.values()), default=0)

    def expires_ns(self) -> int | None:
        since_ns = self.now_ns - self._horizon_ns
        moments = [times[bisect_left(times, since_ns + 1)] for times in self.uses.values() if times[-1] > since_ns]
        if self.going_on:
            moments.append(self.steps[-1][0])
        leaves = [moment + self._horizon_ns for moment in moments]
        window_ns = super().expires_ns()
        return min(leaves if window_ns is None else [*leaves, window_ns], default=None)

    def idle_until_ns(self) -> int:
        moments = (self.expires_ns(), self.month.expires_ns(), self.last_ns + LINGER_NS + 1)
        return min(moment for moment in moments if moment is not None)

    @property
    def going_on(self) -> bool:
        """Whether a call was made lately."""
        return bool(self.steps) and self.now_ns - self.steps[-1][0] < self._horizon_ns

    def advance(self, now_ns: int) -> bool:
        self.now_ns = max(self.now_ns, now_ns)
        return super().advance(now_ns)

    def step(self, step: Step, sign: int) -> None:
        """A call with its context, or one that was none after all."""
        steps = self.steps
        if sign > 0:
            insort(steps, step)
            del steps[:-STEPS]
        else:
            at = bisect_left(steps, step)
            if at < len(steps) and steps[at] == step:
                del steps[at]

    def use(self, use: ToolUse, time_ns: int) -> None:
        """A tool's use, or one that is taken back."""
        signature = (use.scope, use.name, use.args_hash)
        times = self.uses.pop(signature, [])
        if use.sign > 0:
            insort(times, time_ns)
            del times[:-USES]
        elif times:
            # Where its time was held back it may be another by now; one of them is gone all the same.
            times.remove(time_ns if time_ns in times else times[-1])
        if times:
            self.uses[signature] = times
            if len(self.uses) > SIGNATURES:
                del self.uses[next(iter(self.uses))]

    def most_repeated(self) -> tuple[int, str]:
        """How often the same tool was lately used with the same arguments, as its best witness tells, and which."""
        most, name, since_ns = 0, "", self.now_ns - self._horizon_ns
        for (_, tool, _), times in self.uses.items():
            if len(times) > most:
                count = len(times) - bisect_left(times, since_ns + 1)
                if count > most:
                    most, name = count, tool
        return most, name

    def growth(self) -> tuple[int, int, int]:
        """Calls, first context and largest context of the longest run in which a model's context only grew.

        A context that was cut back ends a run; one that is a little smaller, as with another tool's answer, does not.
        """
        runs: dict[str, list[int]] = {}
        for _, model, tokens in self.steps:
            run = runs.get(model)
            if run is None or tokens * COMPACTED < run[2] * (COMPACTED - 1):
                runs[model] = [1, tokens, tokens]
            else:
                run[0] += 1
                run[2] = max(run[2], tokens)
        calls, first, largest = max(runs.values(), key=lambda run: run[0], default=[0, 0, 0])
        return calls, first, largest

    def state(self) -> list[Any]:
        return [super().state(), self.steps, list(self.uses.items())]

    def load(self, state: list[Any]) -> bool:
        calls, steps, uses = state
        self.steps = [(time_ns, model, tokens) for time_ns, model, tokens in steps]
        self.uses = {(scope, name, hashed): list(times) for (scope, name, hashed), times in uses}
        return super().load(calls)
