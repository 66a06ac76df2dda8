"""Shell: keeps the programs of a plan alive: `python -m bot.operate.supervisor PLAN.json`.

Theory of operation: programs start in order, each after the one before said that it is ready;
one that ends is started again after a growing pause, alone, since every part finds its
connections again by itself. What else a program prints is for the person at the
terminal and is passed on; its log is its stderr. On SIGTERM or SIGINT they end in the opposite
order. A program that calls its start a user's mistake (exit status 2) ends everything, with its
own words.
Imports nothing but the standard library: it lives as long as the machine does.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path

from bot.operate.plan import USERS_MISTAKE, Plan, Program, failures_after, pause_s

READY_WAIT_S = 120.0
STOP_WAIT_S = 20.0
MAX_LOG_BYTES = 16 * 2**20
PR_SET_PDEATHSIG = 1


class Supervisor:
    """The running of one plan. `run` returns the exit status."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._states: dict[str, dict[str, object]] = {}
        self._stopping = asyncio.Event()
        self._status = 0
        self._status_file = Path(plan.status_file)
        Path(plan.log_dir).mkdir(parents=True, exist_ok=True, mode=0o700)

    async def run(self) -> int:
        """Start everything, keep it up, stop it when asked."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        keepers: list[asyncio.Task[None]] = []
        try:
            for program in self._plan.programs:
                ready = asyncio.Event()
                keepers.append(asyncio.create_task(self._keep(program, ready)))
                await self._first(ready.wait(), self._stopping.wait())
                if self._stopping.is_set():
                    break
            else:
                say(self._plan.greeting or "ready")
                await self._stopping.wait()
        finally:
            self._stopping.set()
            await self._stop_all()
            await asyncio.gather(*keepers, return_exceptions=True)
            await self._run_afterwards()
            self._status_file.unlink(missing_ok=True)
        return self._status

    async def _keep(self, program: Program, ready: asyncio.Event) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            process = await self._start(program)
            became_ready = await self._read_until_ready(program, process)
            if became_ready:
                self._note(program.name, pid=process.pid, ready=True, restarts=failures)
                ready.set()
            hearing = asyncio.create_task(self._hear(program, process))
            status = await process.wait()
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
            del self._processes[program.name]
            self._note(program.name, pid=None, ready=False, status=status)
            if self._stopping.is_set():
                return
            failures = failures_after(failures, time.monotonic() - began)
            words = self._last_words(program)
            if status == USERS_MISTAKE and not ready.is_set():
                say(f"{program.name} cannot start: {words}")
                self._status = USERS_MISTAKE
                self._stopping.set()
                return
            say(f"{program.name} ended ({status}), starting it again: {words}")
            await self._first(asyncio.sleep(pause_s(failures)), self._stopping.wait())

    async def _start(self, program: Program) -> asyncio.subprocess.Process:
        log_file = self._log_file(program)
        if log_file.exists() and log_file.stat().st_size > MAX_LOG_BYTES:
            log_file.replace(log_file.with_suffix(".old.log"))
        with log_file.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *program.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                # Its own session: Ctrl-C reaches us alone, and we end them in order.
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        self._processes[program.name] = process
        return process

    async def _read_until_ready(
        self, program: Program, process: asyncio.subprocess.Process
    ) -> bool:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(READY_WAIT_S):
                async for line in process.stdout:
                    if line.decode(errors="replace").startswith(program.ready):
                        return True
                    self._pass_on(program, line)
        except TimeoutError:
            say(f"{program.name} was not ready after {READY_WAIT_S:g} s; it is ended")
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        return False

    async def _hear(self, program: Program, process: asyncio.subprocess.Process) -> None:
        """Pass on what the program has to say, until it ends."""
        assert process.stdout is not None
        async for line in process.stdout:
            self._pass_on(program, line)

    def _pass_on(self, program: Program, line: bytes) -> None:
        if words := line.decode(errors="replace").strip():
            self._note(program.name, said=words)
            say(words)

    async def _stop_all(self) -> None:
        for program in reversed(self._plan.programs):
            if (process := self._processes.get(program.name)) is None:
                continue
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(STOP_WAIT_S):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _run_afterwards(self) -> None:
        for argv in self._plan.afterwards:
            process = await asyncio.create_subprocess_exec(*argv, start_new_session=True)
            await process.wait()

    async def _first(self, *waits: object) -> None:
        tasks = [asyncio.ensure_future(wait) for wait in waits]  # type: ignore[call-overload]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def _note(self, name: str, **state: object) -> None:
        self._states[name] = self._states.get(name, {}) | state
        part = self._status_file.with_suffix(".part")
        part.write_text(json.dumps({"pid": os.getpid(), "programs": self._states}))
        part.replace(self._status_file)

    def _log_file(self, program: Program) -> Path:
        return Path(self._plan.log_dir) / f"{program.name}.log"

    def _last_words(self, program: Program) -> str:
        lines = self._log_file(program).read_text(errors="replace").strip().splitlines()
        return lines[-1][-500:] if lines else "it said nothing"


def _end_with_parent() -> None:
    """In the child: ask the kernel for SIGTERM when the supervisor dies, even by kill -9."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def say(line: str) -> None:
    """One line for the person, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the plan in the file named by the one argument."""
    plan = Plan.from_json(Path(sys.argv[1]).read_text())
    return asyncio.run(Supervisor(plan).run())


if __name__ == "__main__":
    raise SystemExit(main())
