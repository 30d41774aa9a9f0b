"""litequeue on SQLite; it keeps no results, so the job inserts its own into the same file."""

import json
import time
from collections.abc import Iterable
from typing import Any, ClassVar

from litequeue import LiteQueue

from benchmarks.subjects.subject import AT_MOST_ONCE, BY_THE_JOB, PROMPT, Facts, Subject

POLL_S = 0.005


class Litequeue(Subject):
    """With its own setting, synchronous=NORMAL."""

    synchronous: ClassVar[str] = "NORMAL"
    durability: ClassVar[str] = "synchronous=NORMAL: a power cut loses the latest commits"

    def facts(self) -> Facts:
        return Facts(
            durability=f"write-ahead log, {self.durability}",
            delivery=f"{AT_MOST_ONCE}: a taken job stays locked until someone calls retry()",
            results=BY_THE_JOB,
            settings=f"one row inserted for each result; polls every {POLL_S * 1000:g} ms",
        )

    def open_producer(self) -> None:
        self.queue = self._open()
        self.queue.conn.execute("CREATE TABLE results (id TEXT PRIMARY KEY, result TEXT)")

    def submit_each(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.queue.put(json.dumps({"number": number, "prompt": PROMPT}))

    def work(self) -> None:
        queue = self._open()
        while True:
            message = queue.pop()
            if message is None:
                time.sleep(POLL_S)
                continue
            result = json.dumps(self.run_job(json.loads(message.data)["number"]))
            queue.conn.execute("INSERT INTO results VALUES (?, ?)", (message.message_id, result))
            queue.done(message.message_id)

    def stored_results(self) -> int:
        return int(self.queue.conn.execute("SELECT count(*) FROM results").fetchone()[0])

    def _open(self) -> Any:
        queue = LiteQueue(str(self.directory / "litequeue.db"), timeout=30)
        queue.conn.execute(f"PRAGMA synchronous = {self.synchronous}")
        return queue


class LitequeueFull(Litequeue):
    """As durable as the others."""

    synchronous: ClassVar[str] = "FULL"
    durability: ClassVar[str] = "synchronous=FULL (not its default): survives a power cut"
