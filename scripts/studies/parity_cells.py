"""What `ppo_parity.py` runs: a cell is one call of a trainer, kept in a file.

`S` agents of a cell, `T` evaluations in training and one before, `E` episodes.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from bgpbt import space as spaces
from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.environment import Env
from bgpbt.execution.streams import Stream, fold
from bgpbt.storage.records import tidy
from bgpbt.tasks.ppo.agents import make_env
from bgpbt.tasks.ppo.episodes import play
from bgpbt.types import Array, Key, Policy, PyTree
from scripts.benchmarks import brax_ppo
from scripts.benchmarks.report import machine
from scripts.studies.parity_settings import EPISODES, brax_arguments
from scripts.studies.policies import Certain


class Cell(NamedTuple):
    """One call of a trainer."""

    task: str
    arm: str  # one of `ARMS`
    seeds: range  # of its agents: all of them, or one

    @property
    def file(self) -> str:
        """The name of its result."""
        seeds = f"{self.seeds[0]}"
        if len(self.seeds) > 1:
            seeds += f"_to_{self.seeds[-1]}"
        return f"{self.task}_{self.arm}_{seeds}.json"


class Trained(NamedTuple):
    """What the agents of a cell did."""

    steps: list[int]  # [T + 1] at each evaluation
    returns: list[list[float]]  # [S][T + 1] means; NaN where an agent has failed
    finals: np.ndarray  # [S, E] on fresh episodes in the end


def cells_of(task: str, arm: str, seeds: range) -> list[Cell]:
    """The cells of an arm: one population, or a training for every seed."""
    if arm == "bgpbt":
        return [Cell(task, arm, seeds)]
    return [Cell(task, arm, range(seed, seed + 1)) for seed in seeds]


def brax_policy(make_policy: Callable, params: PyTree) -> Policy:
    """A policy of Brax's trainer as one of bgpbt's, which acts without noise.

    Args:
      make_policy: what Brax's trainer makes policies with.
      params: weights and observation statistics.
    """
    act = make_policy(params, deterministic=True)
    unused = jax.random.PRNGKey(0)  # a policy without noise draws nothing
    return Policy(lambda carry, obs: (carry, Certain(act(obs, unused)[0])))


def returns_of(env: Env, policy: Policy, key: Key, count: int) -> Array:
    """Returns of complete episodes, by bgpbt's own evaluation. Shape `[count]`.

    Args:
      env: where the policy acts.
      policy: either arm's.
      key: PRNG key of the start states.
      count: number of episodes.
    """
    return play(key, env, policy, count).gained


def exam_key(seed: int) -> Key:
    """The start states of an agent's last evaluation, the same ones in both arms."""
    return fold(seed, Stream.report)


def curve_key(seed: int, number: int) -> Key:
    """The start states of an evaluation in training, those of the population's own.

    Args:
      seed: of the population.
      number: of the evaluation, 0 before training.
    """
    return fold(seed, Stream.evaluate, number, 0)


def run(cell: Cell, options: Options, quick: bool) -> dict[str, Any]:
    """Trains and judges the agents of a cell.

    Args:
      cell: what to run.
      options: of the population, which say what Brax's agents train with, too.
      quick: few episodes.

    Returns:
      The result as JSON holds it. `final` and `final_sd` are mean and standard
      deviation over the last episodes, `[S]`.
    """
    trained = {"bgpbt": population, "brax": brax_agent}[cell.arm]
    steps, returns, finals = trained(cell, options, last_episodes(quick))
    return {
        "task": cell.task,
        "arm": cell.arm,
        "seeds": list(cell.seeds),
        "what": what(cell, options, quick),
        "steps": steps,
        "returns": returns,
        "final": finals.mean(axis=1).tolist(),
        "final_sd": finals.std(axis=1, ddof=1).tolist(),
        "machine": machine(),
    }


def last_episodes(quick: bool) -> int:
    """How many fresh episodes an agent plays in the end."""
    return 4 if quick else EPISODES


def what(cell: Cell, options: Options, quick: bool) -> dict[str, Any]:
    """What a result depends on beside the program; others are not taken for it."""
    return json.loads(json.dumps(brax_arguments(cell.task, options))) | {
        "eval_episodes": options.eval_episodes,
        "agents": len(cell.seeds),
        "final_episodes": last_episodes(quick),
        "start_states": options.seed[0],  # which ones a curve's evaluations draw
    }


def population(cell: Cell, options: Options, episodes: int) -> Trained:
    """Trains all agents as one population that copies nothing.

    It is one run of bgpbt, which goes on where it was interrupted.

    Args:
      cell: of `bgpbt`.
      options: of the run.
      episodes: of the last evaluation, E.
    """
    import bgpbt

    result = bgpbt.run(options)
    records = tidy(result.records)
    returns = own_returns(records)
    steps = records.groupby("round")["timesteps"].max()
    (group,) = result.load().population
    members = jax.tree.map(np.asarray, group)
    task = result.task
    env = task.playback.env
    config = np.asarray(spaces.encode(task.space, spaces.defaults(task.space)))
    hyperparams = spaces.decode(task.space, config)

    @jax.jit
    def exam(key: Key, state: PyTree) -> Array:
        policy = task.playback.policy(state, hyperparams)
        return returns_of(env, policy, key, episodes)

    finals = [
        exam(exam_key(seed), jax.tree.map(lambda x, i=index: x[i], members))
        for index, seed in enumerate(cell.seeds)
    ]
    finals = np.array(finals, np.float64)
    finals[np.isnan(returns[:, -1])] = np.nan
    return Trained(steps.tolist(), returns.tolist(), finals)


def own_returns(records: pd.DataFrame) -> np.ndarray:
    """The curves of a population's agents.

    An agent that fails has no returns from then on: its slot begins afresh with other
    weights.

    Args:
      records: of the run, tidied.

    Returns:
      Shape `[S, T + 1]`.
    """
    failed = records["fitness"].isna() | (records["age"] < records["timesteps"])
    lost = failed.groupby(records["member"]).cummax()
    own = records.assign(fitness=records["fitness"].mask(lost))
    return own.pivot(index="member", columns="round", values="fitness").to_numpy()


def brax_agent(cell: Cell, options: Options, episodes: int) -> Trained:
    """Trains one agent with Brax's own trainer; bgpbt's evaluation judges it.

    Args:
      cell: of `brax`.
      options: of the population.
      episodes: of the last evaluation, E.
    """
    (seed,) = cell.seeds
    judge = BraxJudge(make_env(options), options)
    _, params, _ = brax_ppo.train(
        brax_arguments(cell.task, options),
        seed=seed,
        max_devices_per_host=1,
        run_evals=False,
        policy_params_fn=judge,
    )
    finals = judge.returns(params, exam_key(seed), episodes)
    return Trained(judge.steps, [judge.means], finals[None])


class BraxJudge:
    """Evaluates Brax's agent whenever its trainer hands over the weights.

    In an evaluation it meets the start states that the members of the population meet
    in theirs.
    """

    def __init__(self, env: Env, options: Options):
        """Nothing is compiled yet.

        Args:
          env: where agents act.
          options: of the population.
        """
        self.env = env
        self.options = options
        self.steps: list[int] = []
        self.means: list[float] = []
        self._make_policy: Callable | None = None
        self._programs: dict[int, Callable] = {}

    def __call__(self, step: int, make_policy: Callable, params: PyTree) -> None:
        """What Brax's trainer calls after `step` environment steps."""
        self._make_policy = make_policy
        key = curve_key(self.options.seed[0], len(self.steps))
        returns = self.returns(params, key, self.options.eval_episodes)
        self.steps.append(int(step))
        self.means.append(float(returns.mean()))

    def returns(self, params: PyTree, key: Key, count: int) -> np.ndarray:
        """Returns of complete episodes. Shape `[count]`, float64.

        Args:
          params: weights and observation statistics.
          key: PRNG key of the start states.
          count: number of episodes.
        """
        if count not in self._programs:

            def program(params: PyTree, key: Key) -> Array:
                policy = brax_policy(self._make_policy, params)
                return returns_of(self.env, policy, key, count)

            self._programs[count] = jax.jit(program)
        return np.asarray(self._programs[count](params, key), np.float64)


def read(
    folder: Path, cell: Cell, options: Options, quick: bool
) -> dict[str, Any] | None:
    """The result of a cell, None where there is none yet.

    Raises:
      BadInput: the file was made with other settings, or cannot be read.
    """
    path = folder / cell.file
    if not path.exists():
        return None
    advice = "give another --results"
    try:
        result = json.loads(path.read_text())
        before = result["what"]
    except (ValueError, KeyError, TypeError):
        raise BadInput(f"{path}: no result of this study, {advice}") from None
    if before != what(cell, options, quick):
        raise BadInput(f"{path}: made with other settings, {advice}")
    return result


def write(folder: Path, cell: Cell, result: dict[str, Any]) -> None:
    """Keeps the result of a cell; a file is there whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{cell.file}.unfinished"
    unfinished.write_text(json.dumps(_strict(result)) + "\n")
    unfinished.rename(folder / cell.file)


def _strict(x: Any) -> Any:
    """The same as strict JSON has it: null for NaN."""
    if isinstance(x, dict):
        return {name: _strict(value) for name, value in x.items()}
    if isinstance(x, list):
        return [_strict(value) for value in x]
    return None if isinstance(x, float) and not math.isfinite(x) else x
