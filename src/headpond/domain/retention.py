"""How long the bodies of ended jobs are kept."""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from headpond.domain.job import Job, JobState

AGAIN_S = 86_400.0
"""How much later ends are looked at again, for what was not there at the first look."""


class Rule(msgspec.Struct, frozen=True):
    """Bodies of `team`, or of every team but `others`, go `after_s` seconds after the end.

    The line of a batch is read again when the batch writes its results, so its time begins when its
    batch has ended too. `again` is true of a second look, which has a mark of its own.
    """

    after_s: float
    team: str | None = None
    others: tuple[str, ...] = ()
    again: bool = False

    @property
    def name(self) -> str:
        """The same for rules that cover the same teams, but for a second look."""
        teams = [self.team, *self.others]
        return msgspec.json.encode({"again": teams} if self.again else teams).decode()

    def looking_again(self) -> "Rule":
        """The second look: at the same ends, `AGAIN_S` later."""
        return replace(self, after_s=self.after_s + AGAIN_S, again=True)

    def waiting(self, until: float, now: float) -> "Rule":
        """The same, now, but for whatever ended after `until`."""
        return replace(self, after_s=max(self.after_s, now - until))

    def covers(self, job: Job) -> bool:
        """Whether this rule decides about the job; a dead letter waits for an operator."""
        if job.erased_at is not None or not job.state.terminal or job.state is JobState.DEAD:
            return False
        return job.team == self.team if self.team is not None else job.team not in self.others

    def erases(self, job: Job, batch_ended_at: float | None, now: float) -> bool:
        """Whether the job goes now; `batch_ended_at` is the end of its batch, if it is a line."""
        ends = (job.finished_at,) if job.batch is None else (job.finished_at, batch_ended_at)
        return self.covers(job) and all(
            end is not None and end <= now - self.after_s for end in ends
        )


def rules(keep_s: float | None, teams: Mapping[str, float | None]) -> list[Rule]:
    """A rule for each team that has its own, and one for the others; None keeps for ever."""
    own = [Rule(after_s, team) for team, after_s in teams.items() if after_s is not None]
    rest = () if keep_s is None else (Rule(keep_s, others=tuple(sorted(teams))),)
    return [*own, *rest]
