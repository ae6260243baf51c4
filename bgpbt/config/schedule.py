"""How long the rounds of a run are."""

from typing import NamedTuple


class Schedule(NamedTuple):
    """How long the rounds and the run are, in timesteps of a member."""

    t_ready: int  # of the first round
    t_ready_end: int  # of the last round, approached linearly
    max_timesteps: int
    timesteps_per_update: int

    def round_steps(self, timesteps: int) -> int:
        """Steps of the round that starts at `timesteps`, before they are rounded."""
        share = min(timesteps, self.max_timesteps) / self.max_timesteps
        return int(self.t_ready + (self.t_ready_end - self.t_ready) * share)

    def round_updates(self, timesteps: int) -> int:
        """Whole updates of the round that starts at `timesteps`, at least one."""
        return self.updates_of(self.round_steps(timesteps))

    def updates_of(self, steps: int) -> int:
        """Whole updates in so many steps, at least one."""
        return max(steps // self.timesteps_per_update, 1)
