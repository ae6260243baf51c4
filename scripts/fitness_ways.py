"""The three ways of fitness as rankers: `evaluation`, `training`, `concurrent`.

They stand beside long evaluations of the same members. One population per seed trains
by the settings of `small_ant.py` with configurations from the prior and no exchange, so
that its members stay different. After every round each way says what it would say in a
run:

evaluation  bgpbt's evaluation of the weights after the round;
training    the metrics of the training program itself (its program is the same under
            `evaluation` and `training`: only what the controller reads differs);
concurrent  the metrics of the concurrent task's training program, started from the same
            weights at the start of the round, with environments that it keeps from
            round to round. Its deterministic policy is the one from before the round,
            so the weights it trains meanwhile do not matter and are thrown away.

The truth is the mean return of long fresh deterministic episodes of the weights after
the round, which are what a strategy would copy. Kendall's tau is taken within a round
over the members, and averaged over the rounds of a stage.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from bgpbt import space as spaces
from bgpbt.assembly.parts import make_plan, make_task
from bgpbt.cli.command import prepare_jax
from bgpbt.config.loading import load_options
from bgpbt.config.options import Options
from bgpbt.execution.devices import DeviceLayout, choose_layout, make_mesh, sharded
from bgpbt.execution.members import map_members
from bgpbt.execution.programs import Programs, make_programs
from bgpbt.execution.streams import Stream, fold
from bgpbt.forecast import forecast_rounds
from bgpbt.tasks.ppo.episodes import for_each
from bgpbt.types import Task
from scripts.benchmarks import flags
from scripts.benchmarks.figures import Result
from scripts.benchmarks.report import finish, machine, say, sentence
from scripts.small_ant import SMALL, TINY
from scripts.studies.fitness_figures import WAYS, summarise


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_seeds("1000,1001,1002", "development seeds, from 1000 on")
    result.add_argument(
        "--episodes",
        type=flags.count,
        default=64,
        metavar="N",
        help="of a long evaluation, default 64",
    )
    result.add_argument(
        "--every",
        type=flags.count,
        default=2,
        metavar="N",
        help="rounds between long evaluations, default 2",
    )
    result.add_json("the figures and all measurements")
    result.add_quick(episodes=4)
    return result


class Ways(NamedTuple):
    """What the populations of all seeds share: compiled once."""

    options: Options
    programs: Programs  # of the task whose fitness is from evaluation or training
    concurrent: Programs  # of the task with concurrent episodes
    # (seed, round, members, population, config) -> returns [P, N], lengths [P, N]
    truth: Callable
    rounds: list[int]  # updates of each


def prepare(options: Options, episodes: int) -> Ways:
    """Builds all programs; each compiles at its first call."""
    size = options.pop_size
    device_layout = choose_layout(size)
    tasks = {
        way: make_task(options.model_copy(update={"fitness": way})) for way in WAYS
    }
    evaluated = tasks["evaluation"]
    rounds = forecast_rounds(make_plan(options, evaluated), evaluated)
    return Ways(
        options=options,
        programs=make_programs(tasks["training"], size, device_layout),
        concurrent=make_programs(tasks["concurrent"], size, device_layout),
        truth=long_evaluation(evaluated, episodes, device_layout),
        rounds=[r.updates for r in rounds],
    )


def long_evaluation(task: Task, episodes: int, device_layout: DeviceLayout) -> Callable:
    """Deterministic episodes from fresh keys, with their lengths in decisions.

    The evaluation of bgpbt does not give lengths.
    """
    play = partial(_play, task, episodes)
    over = map_members(play, device_layout, make_mesh(device_layout))

    def evaluate(seed, round_, members, population, config):
        return over((seed, round_), (members, population, config))

    return jax.jit(evaluate, out_shardings=sharded(device_layout))


def _play(task: Task, episodes: int, seed, round_, member, state, config):
    """Returns and lengths of one member's episodes."""
    env = task.playback.env
    key = fold(seed, int(Stream.report), round_, member)
    policy = task.playback.policy(state, spaces.decode(task.space, config))
    start = jax.vmap(env.reset)(jax.random.split(key, episodes))

    def step(_, carry):
        env_state, memory, total, length, alive = carry
        memory, distribution = policy(memory, env_state.obs)
        env_state = jax.vmap(env.step)(env_state, distribution.mode())
        total = total + jnp.where(alive, env_state.reward, 0)
        alive_next = alive & ~env_state.terminated
        return env_state, memory, total, length + alive, alive_next

    carry = (
        start,
        for_each(policy.carry, episodes),
        jnp.zeros(episodes),
        jnp.zeros(episodes, jnp.int32),
        jnp.ones(episodes, bool),
    )
    decisions = env.decisions_per_episode
    _, _, total, length, _ = jax.lax.fori_loop(0, decisions, step, carry)
    return total, length


def _timed(f: Callable, *args):
    began = time.monotonic()
    out = jax.block_until_ready(f(*args))
    return out, time.monotonic() - began


def _mean(returns) -> np.ndarray:
    """The controller's fitness of members with finite returns; NaN without. `[P]`."""
    return pd.DataFrame(np.asarray(returns, np.float64)).mean(axis=1).to_numpy()


class Population:
    """One population that trains while all ways look at it."""

    def __init__(self, ways: Ways, seed: int):
        size = ways.options.pop_size
        self.ways = ways
        self.seed = np.uint32(seed)
        self.members = np.arange(size, dtype=np.int32)
        self.active = np.ones(size, bool)
        self.config = np.asarray(ways.programs.configure(self.seed, self.members))
        inputs = self.seed, np.int32(0), self.members, self.config
        self.state = ways.programs.init(*inputs)
        self.env_state = ways.concurrent.init(*inputs).env_state  # of concurrent

    def play_round(self, number: int, updates: int) -> dict[str, np.ndarray | float]:
        """Trains for a round. Returns what each way says, and what it costs."""
        ways, config = self.ways, self.config
        scalars = self.seed, np.int32(number), np.int32(updates)
        inputs = *scalars, self.members, self.active
        before = jax.tree.map(jnp.copy, self.state._replace(env_state=()))
        before = before._replace(env_state=self.env_state)
        (beside, concurrent), seconds_concurrent = _timed(
            ways.concurrent.train, *inputs, before, config
        )
        self.env_state = beside.env_state
        (self.state, training), seconds = _timed(
            ways.programs.train, *inputs, self.state, config
        )
        (returns, steps), seconds_evaluation = self._evaluate(number)
        train_steps = np.asarray(training["env_steps"])
        return {
            "evaluation": _mean(returns),
            "training": _mean(training["episode_returns"]),
            "concurrent": _mean(concurrent["episode_returns"]),
            "train_steps": train_steps,
            "evaluation_steps": np.asarray(steps),
            "concurrent_steps": np.asarray(concurrent["env_steps"]) - train_steps,
            "train_seconds": seconds,
            "evaluation_seconds": seconds_evaluation,
            "concurrent_seconds": seconds_concurrent - seconds,
        }

    def _evaluate(self, number: int) -> tuple[tuple, float]:
        """The evaluation of bgpbt: returns and steps, and its seconds."""
        scalars = self.seed, np.int32(number), np.int32(Stream.evaluate)
        start_draws = np.zeros(len(self.members), np.int32)
        inputs = *scalars, start_draws, self.active
        evaluate = partial(self.ways.programs.evaluate, *inputs)
        (returns, steps, _), seconds = _timed(evaluate, self.state, self.config)
        return (returns, steps), seconds

    def judge(self, number: int) -> dict[str, np.ndarray]:
        """Mean return and length of long evaluations, each `[P]`."""
        out = self.ways.truth(
            self.seed, np.int32(number), self.members, self.state, self.config
        )
        truth, length = (np.asarray(x).mean(axis=1) for x in out)
        return {"truth": truth, "length": length}


def measure(ways: Ways, seed: int, every: int) -> pd.DataFrame:
    """Trains one population. Returns a row per measured round and member."""
    population = Population(ways, seed)
    last = len(ways.rounds)
    tables = []
    for number, updates in enumerate(ways.rounds, start=1):
        measured = population.play_round(number, updates)
        if number % every and number != last:
            continue
        judged = population.judge(number)
        row = {"seed": seed, "round": number, "member": population.members}
        tables.append(pd.DataFrame(row | judged | measured))
        low, high = judged["truth"].min(), judged["truth"].max()
        say(
            f"seed {seed}, round {number} of {last}: "
            f"long evaluations {low:.0f} to {high:.0f}"
        )
    return pd.concat(tables, ignore_index=True).assign(rounds=last)


@flags.answered
def main(argv: list[str]) -> int:
    """Trains, compares, prints."""
    args = parser().parse_args(argv)
    values = {"seed": args.seeds, "strategy": "random"}
    options = load_options((TINY if args.quick else SMALL) | values)
    prepare_jax(options)
    facts = machine()
    seeds = ", ".join(map(str, options.seed))
    head = f"{options.env_name}, {options.pop_size} members, seeds {seeds}"
    print(f"{head}\n{sentence(facts)}", flush=True)
    ways = prepare(options, args.episodes)
    tables = [measure(ways, seed, args.every) for seed in options.seed]
    table = pd.concat(tables, ignore_index=True)
    figures = summarise(table, -(-options.episode_length // options.action_repeat))
    settings = {
        "seeds": list(options.seed),
        "episodes": args.episodes,
        "rows": table.to_dict("records"),
    }
    finish(Result("fitness_ways", settings, figures, args.quick, facts), args)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
