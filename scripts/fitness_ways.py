"""The three ways of fitness as rankers: `evaluation`, `training`, `concurrent`, beside long evaluations of the same members.

One population per seed trains by the settings of `small_ant.py` with configurations from the prior and no
exchange, so that its members stay different. After every round each way says what it would say in a run:

evaluation  the product's evaluation of the weights after the round;
training    the metrics of the training program itself (its program is the same under `evaluation` and `training`: only
            what the controller reads differs);
concurrent  the metrics of the concurrent task's training program, started from the same weights at the start of the
            round, with environments that it keeps from round to round. Its deterministic policy is the one from before
            the round, so the weights it trains meanwhile do not matter and are thrown away.

The truth is the mean return of long fresh deterministic episodes of the weights after the round, which are what a
strategy would copy. Kendall's tau is taken within a round over the members, and averaged over the rounds of a stage.
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
from jax.sharding import NamedSharding, PartitionSpec
from scipy.stats import kendalltau

import main as command_line
from bgpbt import space as spaces
from bgpbt.api import make_task
from bgpbt.options import Options, load_options
from bgpbt.plan import rounds_of
from bgpbt.population import AXIS, Purpose, arrange, make_mesh, make_programs, map_members
from scripts.benchmarks import flags
from scripts.benchmarks.figures import Figure, Result, machine, sentence, show, write
from scripts.small_ant import SMALL, TINY

WAYS = ("evaluation", "training", "concurrent")
STAGES = ("early", "middle", "late")
SLACK = 0.05  # a cheaper way may be the default where its tau is this near the evaluation's in every stage


def parser() -> flags.Parser:
    """The flags."""
    result = flags.Parser(__doc__)
    result.add_argument(
        "--seeds", type=flags.seeds, default="1000,1001,1002", metavar="1000,1001", help="development seeds, from 1000 on"
    )
    result.add_argument("--episodes", type=flags.count, default=64, metavar="N", help="of a long evaluation, default 64")
    result.add_argument("--every", type=flags.count, default=2, metavar="N", help="rounds between long evaluations, default 2")
    result.add_argument("--json", type=flags.output, metavar="FILE", help="also write the figures and all measurements there")
    result.add_quick(episodes=4)
    return result


class Ways(NamedTuple):
    """What the populations of all seeds share: compiled once."""

    options: Options
    programs: object  # of the task whose fitness comes from evaluation or training
    concurrent: object  # of the task with concurrent episodes
    truth: Callable  # (seed, round, population, config) -> returns [P, N], lengths [P, N]
    rounds: list[int]  # updates of each


def long_evaluation(task, episodes: int, arrangement) -> Callable:
    """Deterministic episodes from fresh keys with their lengths in decisions, which the product's evaluation does not give."""
    env, mode_of = task.context
    mesh = make_mesh(arrangement)

    def play(shared, inputs):
        seed, round_ = shared
        member, state, config = inputs
        key = jax.random.PRNGKey(seed)
        for part in (int(Purpose.report), round_, member):
            key = jax.random.fold_in(key, part)
        act = mode_of(state, spaces.decode(task.space, config))
        start = jax.vmap(env.reset)(jax.random.split(key, episodes))

        def step(_, carry):
            world, total, length, alive = carry
            world = jax.vmap(env.step)(world, act(world.obs))
            return world, total + jnp.where(alive, world.reward, 0), length + alive, alive & ~world.terminated

        carry = (start, jnp.zeros(episodes), jnp.zeros(episodes, jnp.int32), jnp.ones(episodes, bool))
        _, total, length, _ = jax.lax.fori_loop(0, env.decisions_per_episode, step, carry)
        return total, length

    over = map_members(play, arrangement, mesh)
    sharded = NamedSharding(mesh, PartitionSpec(AXIS))
    return jax.jit(
        lambda seed, round_, members, population, config: over((seed, round_), (members, population, config)),
        out_shardings=sharded,
    )


def prepare(options: Options, episodes: int) -> Ways:
    """Builds all programs; each compiles at its first call."""
    arrangement = arrange(options.pop_size)
    tasks = {way: make_task(options.model_copy(update={"fitness": way})) for way in WAYS}
    programs = make_programs(tasks["training"], options.pop_size, arrangement)
    concurrent = make_programs(tasks["concurrent"], options.pop_size, arrangement)
    truth = long_evaluation(tasks["evaluation"], episodes, arrangement)
    return Ways(options, programs, concurrent, truth, [r.updates for r in rounds_of(options, tasks["evaluation"])])


def _timed(f: Callable, *args):
    began = time.monotonic()
    out = jax.block_until_ready(f(*args))
    return out, time.monotonic() - began


def _mean(returns) -> np.ndarray:
    """The controller's fitness of members with finite returns. Shape `[P]`, NaN where there is none."""
    return pd.DataFrame(np.asarray(returns, np.float64)).mean(axis=1).to_numpy()


def population_of(ways: Ways, seed: int, every: int, say: Callable) -> pd.DataFrame:
    """Trains one population. Returns a row per measured round and member."""
    size = ways.options.pop_size
    members, active = np.arange(size, dtype=np.int32), np.ones(size, bool)
    config = np.asarray(ways.programs.configure(np.uint32(seed), members))
    population = ways.programs.init(np.uint32(seed), np.int32(0), members, config)
    world = ways.concurrent.init(np.uint32(seed), np.int32(0), members, config).world
    tables = []
    for number, updates in enumerate(ways.rounds, start=1):
        head = (np.uint32(seed), np.int32(number))
        inputs = (*head, np.int32(updates), members, active)
        before = jax.tree.map(jnp.copy, population._replace(world=()))._replace(world=world)
        (beside, concurrent), seconds_concurrent = _timed(ways.concurrent.train, *inputs, before, config)
        world = beside.world
        (population, training), seconds = _timed(ways.programs.train, *inputs, population, config)
        evaluate = partial(ways.programs.evaluate, *head, np.int32(Purpose.evaluate), np.zeros(size, np.int32), active)
        (returns, steps, _), seconds_evaluation = _timed(evaluate, population, config)
        if number % every and number != len(ways.rounds):
            continue
        long, length = (np.asarray(x).mean(axis=1) for x in ways.truth(*head, members, population, config))
        columns = {
            "seed": seed,
            "round": number,
            "member": members,
            "truth": long,
            "length": length,
            "evaluation": _mean(returns),
            "training": _mean(training["episode_returns"]),
            "concurrent": _mean(concurrent["episode_returns"]),
            "train_steps": np.asarray(training["env_steps"]),
            "evaluation_steps": np.asarray(steps),
            "concurrent_steps": np.asarray(concurrent["env_steps"]) - np.asarray(training["env_steps"]),
            "train_seconds": seconds,
            "evaluation_seconds": seconds_evaluation,
            "concurrent_seconds": seconds_concurrent - seconds,
        }
        tables.append(pd.DataFrame(columns))
        say(f"seed {seed}, round {number} of {len(ways.rounds)}: long evaluations {long.min():.0f} to {long.max():.0f}")
    return pd.concat(tables, ignore_index=True).assign(rounds=len(ways.rounds))


def tau(fitness: np.ndarray, truth: np.ndarray) -> float:
    """Kendall's tau over members; what has no fitness ranks last, as it does for a strategy. All equal: 0, no ranking."""
    found = float(kendalltau(np.where(np.isnan(fitness), -np.inf, fitness), truth).statistic)
    return 0.0 if np.isnan(found) else found


def taus(table: pd.DataFrame) -> pd.DataFrame:
    """Tau of each way in every measured round, with the stage of training."""
    rows = []
    for (seed, number), part in table.groupby(["seed", "round"]):
        stage = STAGES[min(3 * (number - 1) // int(part["rounds"].iloc[0]), 2)]
        rows.append({"seed": seed, "round": number, "stage": stage} | {way: tau(part[way], part["truth"]) for way in WAYS})
    return pd.DataFrame(rows)


def acceptable(mean: pd.DataFrame, way: str) -> bool:
    """Whether a way ranks as the evaluation does: mean tau at most `SLACK` below it in every stage."""
    return bool((mean[way] >= mean["evaluation"] - SLACK).all())


def summarise(table: pd.DataFrame, episode: int) -> list[Figure]:
    """Tau by stage, bias by episode length, cost of a round; `episode`: decisions of a whole one."""
    ranks = taus(table)
    mean = ranks.groupby("stage")[list(WAYS)].mean().reindex([s for s in STAGES if s in set(ranks["stage"])])
    cut = table["length"] < 0.95 * episode
    train = {unit: table[f"train_{unit}"] for unit in ("steps", "seconds")}
    figures = []
    for way in WAYS:
        for stage, value in mean[way].items():
            figures.append(Figure(f"{way}: tau, {stage}", value, "", note=_spread(ranks, way, stage)))
        error = table[way] - table["truth"]
        for words, part in (("whole", error[~cut]), ("cut short", error[cut])):
            figures.append(Figure(f"{way}: bias, episodes {words}", float(part.mean()), "", note=f"{len(part)} members"))
        figures.append(Figure(f"{way}: tau of error and episode length", tau(error.to_numpy(), table["length"]), ""))
        for unit in ("steps", "seconds"):
            cost = table[f"{way}_{unit}"].median() / train[unit].median() if way != "training" else 0.0
            figures.append(Figure(f"{way}: cost in {unit}", 100 * cost, "% of training"))
        if way != "evaluation":
            words = "may be the default" if acceptable(mean, way) else "ranks worse than the evaluation"
            worst = float((mean[way] - mean["evaluation"]).min())
            figures.append(Figure(f"{way}: tau less the evaluation's, worst stage", worst, "", note=words))
    return figures


def _spread(ranks: pd.DataFrame, way: str, stage: str) -> str:
    part = ranks.loc[ranks["stage"] == stage, way]
    return f"{len(part)} rounds, {part.min():.2f} to {part.max():.2f}"


@flags.answered
def main(argv: list[str]) -> int:
    """Trains, compares, prints."""
    args = parser().parse_args(argv)
    options = load_options((TINY if args.quick else SMALL) | {"seed": args.seeds, "strategy": "random"})
    command_line.prepare_jax(options)
    facts = machine()
    seeds = ", ".join(map(str, options.seed))
    print(f"{options.env_name}, {options.pop_size} members, seeds {seeds}\n{sentence(facts)}", flush=True)
    ways = prepare(options, args.episodes)
    say = partial(print, file=sys.stderr, flush=True)
    table = pd.concat([population_of(ways, seed, args.every, say) for seed in options.seed], ignore_index=True)
    figures = summarise(table, -(-options.episode_length // options.action_repeat))
    settings = {"seeds": list(options.seed), "episodes": args.episodes, "rows": table.to_dict("records")}
    result = Result("fitness_ways", settings, figures, args.quick, facts)
    show(result)
    if args.json:
        write(result, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
