"""The engine's scheduler: vLLM's, with whole stretches of like iterations taken at once.

At the beginning of an iteration, as vLLM's V1 scheduler does it:

    1. every sequence that decodes gets a place for its next token; if the cache is full, the last
       one that was admitted makes room: it loses its blocks and goes to the head of the line
    2. prompts that are being read go on, as far as the budget of tokens allows
    3. the line is admitted first come, first served, as long as budget, places and blocks for the
       whole prompt are there, and nobody had to make room

Nothing of that changes while all only decode and nobody can be admitted, until one is done or the
cache is full: such a stretch is one step of the simulation, however many iterations it has, its
length a sum of an arithmetic series. A request that comes in the middle of it, and could be
admitted, cuts it at the end of the iteration that is under way.
"""

import math
from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush

import msgspec

from headpond.simulator.engine.blocks import Blocks, Freed
from headpond.simulator.engine.pace import Pace

BLOCK = 16


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """An engine's limits and pace; `kv_tokens` is the size of its cache."""

    pace: Pace
    kv_tokens: int
    max_sequences: int = 256
    max_batched_tokens: int = 2048


@dataclass(slots=True, eq=False)
class Sequence:
    """A request at the engine. Times are those of the caller's clock, None for not yet.

    `said` are the tokens of its answer at the beginning of the stretch in which it is; `read` are
    those of `tokens` that are in the cache; `joined` is the iteration in which it said its next
    token after that.
    """

    number: int
    prompt_tokens: int
    answer_tokens: int
    arrived_at: float
    scheduled_at: float | None = None
    first_token_at: float | None = None
    finished_at: float | None = None
    preemptions: int = 0
    said: int = 0
    read: int = 0
    joined: int | None = None
    freed: Freed | None = None

    @property
    def tokens(self) -> int:
        """What has to be in the cache before it can say its next one."""
        return self.prompt_tokens + self.said


@dataclass(slots=True)
class Stretch:
    """Iterations that are planned: so many alike, the first of `first_s`, each `more_s` longer."""

    iterations: int
    first_s: float
    more_s: float = 0.0
    reading: tuple[tuple[Sequence, int], ...] = ()

    @property
    def seconds(self) -> float:
        """All of them."""
        return self.iterations * (self.first_s + self.more_s * (self.iterations - 1) / 2)

    def begun_within(self, seconds: float) -> int:
        """How many have begun by then."""
        if self.more_s <= 0:
            begun = seconds / self.first_s
        else:
            half = self.first_s - self.more_s / 2
            begun = (math.sqrt(half * half + 2 * self.more_s * seconds) - half) / self.more_s
        return max(1, min(self.iterations, math.ceil(begun - 1e-9)))


class Core:
    """One engine. Call `advance` before `submit`: time does not go back."""

    def __init__(self, engine: Engine) -> None:
        self.iterations = 0
        self.preemptions = 0
        self._engine = engine
        self._pace = engine.pace
        self._blocks = Blocks(engine.kv_tokens // BLOCK)
        self._waiting: deque[Sequence] = deque()
        self._reading: dict[int, Sequence] = {}
        self._decoding: dict[int, Sequence] = {}
        self._ends: list[tuple[int, int, Sequence]] = []
        self._kv_tokens = 0
        self._growing = [0] * BLOCK
        """How many sequences take a new block in an iteration, by its number modulo 16."""
        self._at = 0.0
        self._ends_at = math.inf
        self._stretch: Stretch | None = None
        self._gone: list[Sequence] = []

    @property
    def running(self) -> int:
        """Sequences that hold blocks."""
        return len(self._reading) + len(self._decoding)

    @property
    def waiting(self) -> int:
        """Sequences in line."""
        return len(self._waiting)

    @property
    def kv_usage(self) -> float:
        """The used share of the cache."""
        return 1 - self._blocks.free / self._blocks.total

    def holds(self, sequence: Sequence) -> bool:
        """Whether the cache is large enough for it alone."""
        return _blocks(sequence.prompt_tokens + sequence.answer_tokens) <= self._blocks.total

    def submit(self, sequence: Sequence) -> None:
        """A request comes at its `arrived_at`; it must be one that the engine `holds`."""
        self._waiting.append(sequence)
        stretch = self._stretch
        if stretch is None:
            self._at = max(self._at, sequence.arrived_at)
        elif len(self._waiting) == 1 and self._can_admit(sequence):
            self._cut(stretch, sequence.arrived_at)

    def abort(self, sequence: Sequence, now: float) -> None:
        """Nobody wants its answer any more; it goes at the end of the iteration under way."""
        if sequence in self._waiting:
            self._waiting.remove(sequence)
            return
        self._gone.append(sequence)
        if self._stretch is not None:
            self._cut(self._stretch, now)

    def next_at(self) -> float:
        """When the stretch under way ends; infinity when there is nothing to do."""
        if self._stretch is None:
            self._let_go()
            if self._waiting or self._reading or self._decoding:
                self._stretch = self._plan()
                self._ends_at = self._at + self._stretch.seconds
        return self._ends_at

    def advance(self, now: float) -> list[Sequence]:
        """Do all iterations that end by now; returns the sequences that are done."""
        done: list[Sequence] = []
        while self.next_at() <= now:
            self._commit(done)
        return done

    def _let_go(self) -> None:
        """Remove those that were aborted."""
        for sequence in self._gone:
            running = self._decoding if sequence.joined is not None else self._reading
            if running.pop(sequence.number, None) is not None:
                self._release(sequence)
        self._gone.clear()

    def _cut(self, stretch: Stretch, now: float) -> None:
        stretch.iterations = stretch.begun_within(now - self._at)
        self._ends_at = self._at + stretch.seconds

    def _plan(self) -> Stretch:
        """What the next iterations do."""
        crowded = self._make_room()
        reading = self._read(admit=not crowded)
        return self._mixed(reading) if reading else self._decode()

    def _make_room(self) -> bool:
        """Blocks for the next token of each; True if somebody had to go for that."""
        crowded = False
        while self._growing[self.iterations % BLOCK] > self._blocks.free:
            crowded = True
            _, last = (self._reading or self._decoding).popitem()
            self.preemptions += 1
            last.preemptions += 1
            last.freed = self._release(last)
            self._waiting.appendleft(last)
        return crowded

    def _read(self, *, admit: bool) -> tuple[tuple[Sequence, int], ...]:
        """The prompts that the next iteration reads, and how many tokens of each."""
        budget = self._engine.max_batched_tokens - len(self._decoding)
        reading: list[tuple[Sequence, int]] = []
        for sequence in self._reading.values():
            if budget <= 0:
                break
            part = min(budget, sequence.tokens - sequence.read)
            reading.append((sequence, part))
            budget -= part
        while admit and budget > 0 and self._waiting and self._can_admit(self._waiting[0]):
            sequence = self._admit()
            part = min(budget, sequence.tokens - sequence.read)
            reading.append((sequence, part))
            budget -= part
        return tuple(reading)

    def _can_admit(self, sequence: Sequence) -> bool:
        left = self._blocks.free - self._growing[self.iterations % BLOCK]
        return self.running < self._engine.max_sequences and _blocks(sequence.tokens) <= left

    def _admit(self) -> Sequence:
        sequence = self._waiting.popleft()
        if sequence.scheduled_at is None:
            sequence.scheduled_at = self._at
        kept = 0 if sequence.freed is None else self._blocks.take_back(sequence.freed)
        sequence.freed = None
        self._blocks.take(_blocks(sequence.tokens) - kept)
        sequence.read = min(kept * BLOCK, sequence.tokens - 1)
        self._reading[sequence.number] = sequence
        return sequence

    def _mixed(self, reading: tuple[tuple[Sequence, int], ...]) -> Stretch:
        attended = sum(part * (sequence.read + part / 2) for sequence, part in reading)
        tokens = sum(part for _, part in reading)
        saying = len(self._decoding)
        seconds = self._pace.mixed_s(saying + len(reading), saying + tokens, attended)
        return Stretch(1, seconds + self._pace.per_kv_token_s * self._kv_tokens, reading=reading)

    def _decode(self) -> Stretch:
        sequences = len(self._decoding)
        while not self._is_end(*self._ends[0]):
            heappop(self._ends)
        iterations = self._ends[0][0] - self.iterations
        if sequences * (iterations // BLOCK + 1) > self._blocks.free:
            iterations = min(iterations, self._until_full(sequences))
        pace = self._pace
        first_s = pace.decode_s(sequences) + pace.per_kv_token_s * self._kv_tokens
        return Stretch(iterations, first_s, pace.per_kv_token_s * sequences)

    def _until_full(self, sequences: int) -> int:
        """Iterations for which there are blocks; in any sixteen, each sequence takes one."""
        rounds, left = divmod(self._blocks.free, sequences)
        iterations = rounds * BLOCK
        while left >= (grown := self._growing[(self.iterations + iterations) % BLOCK]):
            left -= grown
            iterations += 1
        return iterations

    def _commit(self, done: list[Sequence]) -> None:
        """The stretch under way ends."""
        stretch = self._stretch
        if stretch is None:
            return
        self._at, self._stretch, self._ends_at = self._ends_at, None, math.inf
        self._grow(stretch.iterations)
        for sequence, part in stretch.reading:
            sequence.read += part
            if sequence.read == sequence.tokens:
                self._reads_no_more(sequence, done)
        while self._ends and self._ends[0][0] <= self.iterations:
            end = heappop(self._ends)
            if self._is_end(*end):
                sequence = self._decoding.pop(end[1])
                self._release(sequence)
                self._end(sequence, done)

    def _is_end(self, iteration: int, number: int, sequence: Sequence) -> bool:
        """False for what was noted before a sequence had to make room, or was aborted."""
        joined = sequence.joined
        return (
            joined is not None
            and number in self._decoding
            and iteration == joined + sequence.answer_tokens - sequence.said
        )

    def _grow(self, iterations: int) -> None:
        """Every sequence that decodes says so many tokens."""
        sequences, first = len(self._decoding), self.iterations
        rounds, rest = divmod(iterations, BLOCK)
        blocks = rounds * sequences
        blocks += sum(self._growing[(first + ahead) % BLOCK] for ahead in range(rest))
        self._blocks.take(blocks)
        self._kv_tokens += iterations * sequences
        self.iterations += iterations

    def _reads_no_more(self, sequence: Sequence, done: list[Sequence]) -> None:
        """Its prompt is read: with that it says a token, and may go on."""
        del self._reading[sequence.number]
        tokens = sequence.tokens
        sequence.said += 1
        if sequence.first_token_at is None:
            sequence.first_token_at = self._at
        if sequence.said == sequence.answer_tokens:
            self._blocks.give(_blocks(tokens))
            self._end(sequence, done)
            return
        self._decoding[sequence.number] = sequence
        sequence.joined = self.iterations
        self._kv_tokens += tokens
        self._growing[(self.iterations - tokens) % BLOCK] += 1
        last = self.iterations + sequence.answer_tokens - sequence.said
        heappush(self._ends, (last, sequence.number, sequence))

    def _release(self, sequence: Sequence) -> Freed:
        """Free its blocks, and count what it has said."""
        if sequence.joined is None:
            return self._blocks.give(_blocks(sequence.tokens))
        joined, tokens = sequence.joined, sequence.tokens - 1
        said = self.iterations - joined
        self._growing[(joined - tokens) % BLOCK] -= 1
        self._kv_tokens -= tokens + said
        sequence.said += said
        sequence.joined = None
        return self._blocks.give(_blocks(tokens + said))

    def _end(self, sequence: Sequence, done: list[Sequence]) -> None:
        sequence.finished_at = self._at
        done.append(sequence)


def _blocks(tokens: int) -> int:
    return -(-tokens // BLOCK)
