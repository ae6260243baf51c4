"""The arms of `designers.py`: who designs, on which data sets, for how long."""

from typing import Any, NamedTuple

from bgpbt.config.options import Options

# (data set, decisions): the paper's own lengths of its three trials and of its frozen
# evaluations, which are on data sets that the agent has not seen.
TRIALS = (("omniglot", 8000), ("quickdraw", 7000), ("fashion_mnist", 7000))
UNSEEN = (("mnist", 2000), ("cifar10", 2000))
ROUND = 200  # decisions of a round, about 60 episodes
FROZEN_ROUND = 20  # about 6: what an agent learns within a trial, it learns early
EPISODES = 100  # of the report: of one trial, in which an agent may remember
SINGLE = {"pop_size": 1, "n_init": 1, "strategy": "random", "freeze": "default"}
POPULATION = {"pop_size": 8, "quantile_fraction": 0.25}


class Arm(NamedTuple):
    """One way to design."""

    settings: dict[str, Any]
    carries_over: bool  # each trial begins with what the one before has learnt
    begins: int = 0  # its first trial

    @property
    def is_single(self) -> bool:
        """One agent, not a population."""
        return self.settings["pop_size"] == 1


META = {"alg_name": "meta_a2c"}
ARMS = {
    "meta": Arm(META | SINGLE, True),
    # On the first trial it is `meta` itself.
    "meta, from scratch": Arm(META | SINGLE, False, begins=1),
    "meta, forgetful": Arm(META | {"quirks": "forgetful"} | SINGLE, True),
    "meta, as coded": Arm(META | {"quirks": "reference"} | SINGLE, True),
    "dqn": Arm({"alg_name": "dqn"} | SINGLE, False),
    "uniform": Arm({"alg_name": "uniform"} | SINGLE, False),
    "meta, pbt": Arm(META | {"strategy": "pbt"} | POPULATION, True),
    "meta, bgpbt": Arm(META | {"strategy": "bgpbt", "n_init": 8} | POPULATION, True),
}


class Cell(NamedTuple):
    """All seeds of an arm on one data set."""

    arm: str
    data_set: str
    decisions: int  # of a member
    frozen: bool  # nothing is learnt
    origin: str | None  # the data set whose runs these begin with

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.arm}, {self.problem}".replace(", ", "_").replace(" ", "_")

    @property
    def problem(self) -> str:
        """Data set, and whether anything is learnt: arms are compared on the same."""
        return f"{self.data_set}{', frozen' * self.frozen}"

    @property
    def before(self) -> "Cell | None":
        """Whose runs these begin with."""
        if self.origin is None:
            return None
        return self._replace(data_set=self.origin, frozen=False)


def cells(trials=TRIALS, unseen=UNSEEN) -> list[Cell]:
    """All cells, each after those that it begins with.

    Agents that carry over are judged frozen on the unseen data sets, and so is random
    search.
    """
    found = []
    for arm, (_, carries_over, begins) in ARMS.items():
        before = None
        for data_set, decisions in trials[begins:]:
            origin = before if carries_over else None
            found.append(Cell(arm, data_set, decisions, False, origin))
            before = data_set
        if carries_over or arm == "uniform":
            origin = before if carries_over else None
            found += [Cell(arm, name, steps, True, origin) for name, steps in unseen]
    return found


def settings_of(cell: Cell, *, quick: bool) -> dict[str, Any]:
    """The settings that a cell's results depend on, beside the table.

    An agent carries over what it has become in the end, a population its members; of a
    population, the agent that it reports is judged frozen.
    """
    arm = ARMS[cell.arm]
    settings = {
        "task": "nas",
        "problem": cell.data_set,
        "fitness": "training",
        "eval_episodes": EPISODES,
        "report_episodes": EPISODES,
        "t_ready": 20 if quick else ROUND,
        "max_timesteps": cell.decisions,
        "exploration_steps": cell.decisions,
        "devices": 1,
    } | arm.settings
    if cell.frozen:
        settings |= {"t_ready": FROZEN_ROUND, "evaluate_only": "sampled"} | SINGLE
    if cell.origin is not None:
        alone = cell.frozen and not arm.is_single
        members = "reported" if alone else "all"
        settings |= {"init_members": members, "init_moments": not cell.frozen}
    return settings


def options_of(
    cell: Cell,
    seeds: tuple[int, ...],
    table: str,
    save_dir: str,
    origin: str | None,
    *,
    quick: bool,
) -> Options:
    """The settings of a cell's runs.

    Args:
      cell: arm and data set.
      seeds: a run for each.
      table: of rewards.
      save_dir: where all runs lie.
      origin: folder of the runs that these begin with.
      quick: short rounds.
    """
    settings = settings_of(cell, quick=quick) | {
        "reward_table": table,
        "seed": seeds,
        "save_dir": save_dir,
        "exp_name": cell.name,
        "init_from": origin,
    }
    return Options(**settings)
