"""What the loop takes of a run's settings: how many members, how long, which rules."""

from typing import Literal, NamedTuple

from bgpbt.config.schedule import Schedule


class GenerationRules(NamedTuple):
    """When a generation begins, and how its architectures are chosen."""

    max_generations: int  # generations after the first
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
    report_every: int | None = None  # rounds from one fresh evaluation to the next
    save_every: int = 1  # rounds from one checkpoint to the next

    @property
    def searches_architectures(self) -> bool:
        """Whether a Gaussian process proposes architectures for new generations."""
        return bool(self.rules.max_generations) and self.rules.arch_policy == "search"
