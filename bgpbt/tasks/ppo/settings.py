"""What is the same for all members that learn by PPO, and static in every program."""

from typing import NamedTuple

from bgpbt.environment import Env, at_defaults, with_knobs
from bgpbt.space import SearchSpace
from bgpbt.tasks.ppo.distributions import DistributionKind, distribution_of
from bgpbt.tasks.ppo.networks import Networks
from bgpbt.tasks.ppo.spaces import ROLLOUT_LENGTH
from bgpbt.types import Hyperparams


class PPOSettings(NamedTuple):
    """The environment, the sizes of networks and rollouts, and what is not searched."""

    env: Env  # perhaps with knobs
    networks: Networks
    num_envs: int  # environments that a member learns from
    space: SearchSpace
    # Natural values of the dimensions that are not searched.
    fixed: dict[str, float]
    fitness: str  # "evaluation", "training" or "concurrent"
    eval_episodes: int  # of an evaluation, or environments of a concurrent one
    normalize_advantage: bool

    @property
    def default_env(self) -> Env:
        """The environment with its knobs at their defaults: what members are for."""
        return at_defaults(self.env)

    def training_env(self, hyperparams: Hyperparams) -> Env:
        """The environment that a member learns in.

        Args:
          hyperparams: natural values by name, knobs among them.
        """
        return with_knobs(self.env, self.fixed | hyperparams)

    @property
    def distribution(self) -> DistributionKind:
        """What the policy's distribution over actions is."""
        return distribution_of(self.env)

    @property
    def transitions(self) -> int:
        """Transitions that an update learns from."""
        return ROLLOUT_LENGTH * self.num_envs

    @property
    def num_eval_envs(self) -> int:
        """Environments that are stepped beside the others, and only measure."""
        return self.eval_episodes if self.fitness == "concurrent" else 0

    @property
    def steps_per_update(self) -> int:
        """Environment steps that an update simulates."""
        num_envs = self.num_envs + self.num_eval_envs
        return ROLLOUT_LENGTH * num_envs * self.env.action_repeat
