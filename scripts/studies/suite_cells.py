"""The cells of `suite.py`: an arm on a problem, a block of seeds, a file of results."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

import bgpbt
from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.files import write_json
from bgpbt.result import Result
from scripts.benchmarks import flags
from scripts.benchmarks.report import machine, say
from scripts.studies.suite_profiles import (
    PROFILES,
    SCREEN_SEED,
    options_of,
    values_of,
)

Results = dict[int, dict[str, Any]]  # by seed, see `scores_of`


class Cell(NamedTuple):
    """What one process runs."""

    profile: str
    problem: str
    arm: str | None  # None: the screen of constant configurations
    seeds: tuple[int, ...]

    @property
    def name(self) -> str:
        """Of its arm."""
        return self.arm or "screen"

    @property
    def file(self) -> str:
        """The name of its results."""
        name = f"{self.problem}_{self.name}_{self.seeds[0]}"
        return f"{name}_to_{self.seeds[-1]}.json" if self.seeds[1:] else f"{name}.json"

    def values(self, *, quick: bool) -> dict[str, Any]:
        """The settings that its results depend on."""
        return values_of(self.profile, self.problem, self.arm, quick=quick)

    def options(self, save_dir: Path, *, quick: bool) -> Options:
        """The settings of its runs, whose folders lie in `save_dir`."""
        place = str(save_dir / self.place(quick))
        return options_of(self.values(quick=quick), self.seeds, place, self.name)

    def place(self, quick: bool) -> str:
        """Folder of its results, and of its runs: what is tiny lies apart."""
        return "quick" if quick else self.profile


def cells_of(
    profile: str,
    problems: Iterable[str],
    arms: Iterable[str],
    seeds: Iterable[int] | None = None,
) -> list[Cell]:
    """The cells of problems and arms, arm by arm: what is compared is run early.

    Args:
      profile: one of `PROFILES`.
      problems: of it.
      arms: of `ARMS` or `VARIANTS`.
      seeds: None: the judged ones of each problem.
    """
    cells = []
    for problem in problems:
        _, judged, block = PROFILES[profile].problems[problem]
        own = tuple(judged if seeds is None else seeds)
        blocks = [own[i : i + block] for i in range(0, len(own), block)]
        cells += [Cell(profile, problem, arm, b) for b in blocks for arm in arms]
    return cells


def screens_of(profile: str, problems: Iterable[str]) -> list[Cell]:
    """The cells that show how much configurations matter."""
    return [Cell(profile, problem, None, (SCREEN_SEED,)) for problem in problems]


def result_of(
    cell: Cell, results: Path, save_dir: Path, *, quick: bool, run: bool = True
) -> Results:
    """What a cell's runs came to, by seed: from its file, or made now.

    Args:
      cell: what to run.
      results: folder of all files.
      save_dir: folder of all runs.
      quick: tiny runs.
      run: False: nothing where there is no file.

    Raises:
      BadInput: the file is damaged, or of other settings.
    """
    settings = cell.values(quick=quick) | {"seed": cell.seeds}
    what = json.loads(json.dumps(settings))
    file = results / cell.place(quick) / cell.file
    if file.exists():
        return _read(file, what)
    if not run:
        return {}
    say(f"{cell.name} on {cell.problem}, seeds {list(cell.seeds)}")
    jax.clear_caches()  # Linux gives a process so many memory maps and no more
    runs = bgpbt.run_seeds(cell.options(save_dir, quick=quick))
    made = {
        str(seed): scores_of(result, screen=cell.arm is None)
        for seed, result in zip(cell.seeds, runs, strict=True)
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {"what": what, "runs": made, "machine": machine()})
    return _read(file, what)


def _read(file: Path, what: dict[str, Any]) -> Results:
    try:
        there = json.loads(file.read_text())
        made, runs = there["what"], there["runs"]
        scores = {int(seed): scores for seed, scores in runs.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise BadInput(f"{file} holds no such results, {flags.GO_ON}") from None
    if made != what:
        raise BadInput(f"{file} is of other settings or seeds, give another --results")
    return scores


def scores_of(result: Result, *, screen: bool) -> dict[str, Any]:
    """What a run came to.

    Args:
      result: of the run.
      screen: keep what every member came to in the end.

    Returns:
      `steps`, simulated for training and selection up to there, and `report`, the saved
      best's mean on fresh episodes, at every such evaluation; `final` and `untrained`,
      those of the report; `env_steps`, simulated in all; `members`, the last fitness of
      each in a screen; `failed`, how often a member that trained was not finite;
      `seconds`.
    """
    records, report = result.records, result.report
    scores = {
        "final": report["mean"],
        "untrained": report["untrained_mean"],
        "env_steps": report["env_steps_total"],
        "failed": int((records["fitness"].isna() & _trained(records)).sum()),
        "seconds": float(records.groupby("round")["seconds"].first().sum()),
    }
    if screen:
        last = records[records["round"] == records["round"].max()]
        return scores | {"members": np.round(last["fitness"], 4).tolist()}
    by_round = records.groupby("round")
    watched = by_round["report"].first().dropna()
    steps = by_round["env_steps_total"].first()[watched.index]
    return scores | {"steps": steps.tolist(), "report": watched.round(4).tolist()}


def _trained(records: pd.DataFrame) -> pd.Series:
    """Which rows are of a slot that was not idle."""
    return records.groupby("member")["timesteps"].diff().ne(0)
