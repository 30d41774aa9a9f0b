"""What goes wrong while a stack works: processes die or freeze, hosts cannot reach each other."""

import asyncio
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.e2e.commands import Up, environment
from tests.e2e.family import Relative, children
from tests.e2e.other_host import OtherHost

FROZEN_SHARE = 0.3
FROZEN_S = (3.5, 6.0)
"""Longer than a lease of 3 s: a worker comes back as a zombie."""


class KeptWorker:
    """`headpond worker` on another host, with its engine, started again whenever it dies."""

    def __init__(self, host: OtherHost, home: Path, variables: Mapping[str, str]) -> None:
        self.host = host
        self._environ = environment({**variables, "HEADPOND_HOME": str(home)})
        self._process: asyncio.subprocess.Process | None = None

    def kill(self) -> None:
        """SIGKILL."""
        self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """A signal, if it runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def keep(self) -> None:
        """Start it, again and again, until cancelled."""
        while True:
            self._process = await asyncio.create_subprocess_exec(
                *self.host.command(sys.executable, "-m", "headpond", "worker"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                env=self._environ,
            )
            await self._process.wait()


@asynccontextmanager
async def kept_worker(
    host: OtherHost, home: Path, variables: Mapping[str, str]
) -> AsyncGenerator[KeptWorker]:
    """One that is killed at the end."""
    worker = KeptWorker(host, home, variables)
    keeping = asyncio.create_task(worker.keep())
    try:
        yield worker
    finally:
        keeping.cancel()
        worker.kill()


class Trouble:
    """Harms a process every three seconds or so, and cuts the link to `other`, if there is one."""

    def __init__(self, system: Up, other: KeptWorker | None, dice: random.Random) -> None:
        self._system = system
        self._other = other
        self._dice = dice
        self.made = Counter[str]()

    async def run(self) -> None:
        """Until cancelled; then everybody runs and reaches everybody again."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._harm())
            if self._other is not None:
                group.create_task(self._cut(self._other))

    async def _harm(self) -> None:
        while True:
            await asyncio.sleep(self._dice.uniform(2.0, 4.0))
            victims: list[Relative | KeptWorker] = [*children(self._system.process.pid)]
            if self._other is not None:
                victims.append(self._other)
            if victims:
                victim = self._dice.choice(victims)
                if self._dice.random() < FROZEN_SHARE:
                    await self._freeze(victim)
                else:
                    victim.kill()
                    self.made["killed"] += 1

    async def _freeze(self, victim: Relative | KeptWorker) -> None:
        victim.send(signal.SIGSTOP)
        self.made["frozen"] += 1
        try:
            await asyncio.sleep(self._dice.uniform(*FROZEN_S))
        finally:
            with suppress(ProcessLookupError):  # a stack that stops ends it
                victim.send(signal.SIGCONT)

    async def _cut(self, other: KeptWorker) -> None:
        while True:
            await asyncio.sleep(self._dice.uniform(3.0, 6.0))
            other.host.cut()
            self.made["partitions"] += 1
            try:
                await asyncio.sleep(self._dice.uniform(1.0, 8.0))
            finally:
                other.host.mend()
