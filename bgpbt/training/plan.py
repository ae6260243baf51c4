"""What the loop takes of a run's settings: how many members, how long, which rules."""

from typing import Literal, NamedTuple


class Schedule(NamedTuple):
    """How long the rounds and the run are, in timesteps of a member."""

    t_ready: int  # of the first round
    t_ready_end: int  # of the last round, approached linearly
    max_timesteps: int
    timesteps_per_update: int

    def round_updates(self, timesteps: int) -> int:
        """Whole updates of the round that starts at `timesteps`, at least one."""
        share = min(timesteps, self.max_timesteps) / self.max_timesteps
        steps = int(self.t_ready + (self.t_ready_end - self.t_ready) * share)
        return max(steps // self.timesteps_per_update, 1)

    def updates_of(self, steps: int) -> int:
        """Whole updates in so many steps, at least one."""
        return max(steps // self.timesteps_per_update, 1)


class GenerationRules(NamedTuple):
    """When a generation begins, and how its architectures are chosen."""

    most: int  # generations after the first
    patience: int  # rounds without a better fitness that end a generation
    distill_every: int  # steps that end a generation
    t_distillation: int  # steps of one distillation
    arch_policy: Literal["random", "search"]


class Plan(NamedTuple):
    """A run without its task and its strategy."""

    pop_size: int
    candidates: int  # of a generation, beside the best architectures of the past
    schedule: Schedule
    rules: GenerationRules
    default_configs: bool  # all members begin with the default configuration
    report_episodes: int

    @property
    def searches_architectures(self) -> bool:
        """Whether a Gaussian process proposes architectures for new generations."""
        return bool(self.rules.most) and self.rules.arch_policy == "search"
