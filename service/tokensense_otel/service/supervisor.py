"""Runs the parts as processes: starts them, starts them again, stops them in order.

The parent decides nothing about traffic. It keeps each part alive (`restart.py`), hands it the settings that were
checked once (`handshake.py`), and keeps the ports that were given out: a part comes back where it was.
"""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tokensense_otel.service import events
from tokensense_otel.service.handshake import Ready, decode_ready, encode_settings
from tokensense_otel.service.loader import Loaded
from tokensense_otel.service.restart import GiveUp, RestartPolicy
from tokensense_otel.service.units import PARTS, Unit, units_of

STOP_DEADLINES_S = {"receiver": 15.0, "dataflow": 30.0, "exporters": 20.0, "api": 10.0}
READY_DEADLINE_S = 120.0

_ENDPOINT_KEYS = {
    "grpc": ("receiver", "grpc", "endpoint"),
    "http": ("receiver", "http", "endpoint"),
    "api": ("api", "endpoint"),
}


@dataclass
class State:
    """What the parent knows of its processes, by name; handed out whenever it changes."""

    endpoints: dict[str, str] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)
    ready: set[str] = field(default_factory=set)


class Supervisor:
    """`run` returns the exit code of the whole; `stop` asks it to end."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        environ: dict[str, str],
        changed: Callable[[State], None],
        ended: Callable[[int], None],
        parts: tuple[str, ...] = PARTS,
        children_stdout: int | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._raw: dict[str, Any] = loaded.raw
        self.units = units_of(loaded.settings, parts)
        self._base_dir, self._path = loaded.base_dir, loaded.path
        self._drain_s = loaded.settings.dataflow.drain_s
        self._environ = environ
        self._changed = changed
        self._ended = ended
        self._stdout = children_stdout
        self._monotonic = monotonic
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._exit_code = 0
        self.state = State()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> int:
        keepers = {unit: asyncio.create_task(self._keep(unit)) for unit in self.units}
        await self._stopping.wait()
        events.STOPPING()
        for part in PARTS:
            together = [unit for unit in self.units if unit.part == part]
            await asyncio.gather(*(self._end(unit) for unit in together))
            await asyncio.gather(*(keepers[unit] for unit in together))
        events.STOPPED()
        return self._exit_code

    async def _keep(self, unit: Unit) -> None:
        """Run one process until the whole stops."""
        policy = RestartPolicy()
        while not self._stopping.is_set():
            exit_code = await self._run_once(unit, policy)
            if self._stopping.is_set():
                return
            decision = policy.died(self._monotonic(), exit_code)
            if isinstance(decision, GiveUp):
                self._exit_code = decision.exit_code
                self.stop()
                return
            events.PART_DIED(part=unit.name, exit_code=exit_code, again_in_s=decision.delay_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), decision.delay_s)

    async def _run_once(self, unit: Unit, policy: RestartPolicy) -> int | None:
        """Its exit code once it ended; `None` when there was no process to be had."""
        try:
            process, ready_pipe = await self._spawn(unit)
        except OSError as error:
            events.PART_UNSTARTED(part=unit.name, error=str(error))
            return None
        ready = await self._await_ready(process, ready_pipe)
        if ready is not None:
            policy.ready(self._monotonic())
            self._came_up(unit.name, ready)
        exit_code = await process.wait()
        self._went_down(unit.name, process.pid)
        return exit_code

    async def _spawn(self, unit: Unit) -> tuple[asyncio.subprocess.Process, int]:
        read_end, write_end = os.pipe()
        command = [sys.executable, "-P", "-m", "tokensense_otel.service.main", unit.part, "--ready-fd", str(write_end)]
        if unit.number > 1:
            command += ["--number", str(unit.number)]
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=self._stdout,
                env=self._environ,
                pass_fds=(write_end,),
                process_group=0,  # a terminal's ctrl-C is for the parent, which stops the parts in order
            )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        self._processes[unit.name] = process
        self.state.pids[unit.name] = process.pid
        if self._stopping.is_set():  # asked to stop while the process was being made
            process.terminate()
        assert process.stdin is not None  # noqa: S101 - a pipe was asked for
        with contextlib.suppress(ConnectionError):  # it died at once; its exit code says more
            process.stdin.write(encode_settings(self._raw, self._base_dir, self._path))
            await process.stdin.drain()
        return process, read_end

    async def _await_ready(self, process: asyncio.subprocess.Process, descriptor: int) -> Ready | None:
        """The part's answer; `None` when it ended first. One that says nothing for too long is killed."""
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        pipe = os.fdopen(descriptor, "rb")
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)
        try:
            return decode_ready(await asyncio.wait_for(reader.readline(), READY_DEADLINE_S))
        except TimeoutError:
            self._kill(process)
            return None
        finally:
            transport.close()

    def _came_up(self, name: str, ready: Ready) -> None:
        for kind, endpoint in ready.endpoints.items():
            self.state.endpoints[kind] = endpoint
            self._pin(_ENDPOINT_KEYS[kind], endpoint)
        self.state.ready.add(name)
        events.PART_READY(part=name, pid=self.state.pids[name], **ready.endpoints)
        self._changed(self.state)

    def _pin(self, path: tuple[str, ...], endpoint: str) -> None:
        """A part that is started again takes the port that senders know by now."""
        section = self._raw
        for key in path[:-1]:
            section = section.setdefault(key, {})
        section[path[-1]] = endpoint

    def _went_down(self, name: str, pid: int) -> None:
        self._processes.pop(name, None)
        self.state.pids.pop(name, None)
        self.state.ready.discard(name)
        self._ended(pid)
        self._changed(self.state)

    async def _end(self, unit: Unit) -> None:
        """Stop one process within its deadline."""
        process = self._processes.get(unit.name)
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        deadline = STOP_DEADLINES_S[unit.part] + (self._drain_s if unit.part == "dataflow" else 0)
        try:
            await asyncio.wait_for(process.wait(), deadline)
        except TimeoutError:
            events.PART_KILLED(part=unit.name)
            self._kill(process)

    @staticmethod
    def _kill(process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
