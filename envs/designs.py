"""Designing chains of layers as an environment, with rewards from a table.

An episode is a trial of nas-dmrl: designs follow one another on one data set. What an
agent sees holds its last action and reward, so one that remembers (`--recurrent`) can
find out within the episode which layers are good there.
"""

from pathlib import Path

import jax
import jax.numpy as jnp

from bgpbt.config.errors import BadInput
from bgpbt.config.loading import shipped
from bgpbt.environment import Env, EnvState, repeated
from bgpbt.tasks.nas import table as tables
from bgpbt.tasks.nas import trial
from bgpbt.tasks.nas.design import CHAIN, Design, Rules

TABLE = shipped("configs") / "nas" / "rewards.npz"

Array = jax.Array


def names() -> tuple[str, ...]:
    """The data sets of the table; none where it is missing or damaged."""
    try:
        return tables.names(TABLE)
    except BadInput:
        return ()


def make(
    name: str,
    *,
    backend: str = "",
    episode_length: int = 1000,
    action_repeat: int = 1,
    table: Path = TABLE,
) -> Env:
    """Builds the environment.

    Args:
      name: of a data set in the table.
      backend: not asked for.
      episode_length: decisions of a trial.
      action_repeat: how often a decision is taken.
      table: of `scripts/reward_table.py`.

    Raises:
      BadInput: the data set is not in the table, or there is none.
    """
    del backend
    try:
        known = tables.read(table, name)
    except BadInput as error:
        raise BadInput(
            f"env_name: designs:{name}: {error}; scripts/reward_table.py makes a table",
            "env_name",
        ) from None
    worths = jnp.asarray(known.worths)
    rules = Rules(CHAIN, known.settings["side"], known.settings["depth"])

    def worth(found: tuple, design: Design) -> tuple[Array, tuple]:
        value = tables.of_rows(worths, design.rows)
        return jnp.where(design.buildable, value, 0.0), found

    def state_of(place: trial.Trial, reward: Array) -> EnvState:
        seen = trial.seen(rules, place)
        return EnvState(place, seen, reward, terminated=jnp.zeros((), bool))

    def reset(key: Array) -> EnvState:
        del key
        return state_of(trial.begin(rules), jnp.zeros(()))

    def step(state: EnvState, action: Array) -> EnvState:
        place, decided, _ = trial.decide(rules, worth, 1.0, (), state.physics, action)
        return state_of(place, decided.reward)

    return Env(
        name=f"designs:{name}",
        observation_size=trial.input_size(rules),
        action_size=CHAIN.number,
        episode_length=episode_length,
        action_repeat=action_repeat,
        seconds_per_step=1.0,
        reset=reset,
        step=repeated(step, action_repeat),
        discrete=True,
    )
