"""A run as it lies on disk: its records, its report, its policy, its pictures."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import pandas as pd

from bgpbt import space as spaces
from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.config.settings import base_name
from bgpbt.files import write
from bgpbt.storage import records
from bgpbt.storage.places import check_file
from bgpbt.storage.run_folder import CURVE, GIF, SCHEDULE
from bgpbt.training.run_state import RunState
from bgpbt.trials import Trials, try_policy
from bgpbt.types import Policy, Task
from bgpbt.viz.formatting import counted

if TYPE_CHECKING:  # the renderer comes with MuJoCo
    from bgpbt.film import Film


@dataclass(frozen=True)
class Result:
    """A run, finished or not."""

    options: Options
    path: Path
    records: pd.DataFrame  # one row per round and member
    report: dict[str, Any] | None  # on fresh episodes; None for an unfinished run
    task: Task
    load: Callable[[], RunState]  # reads the last checkpoint

    @property
    def best(self) -> pd.Series:
        """The record of the reported member: the best fitness after round 0.

        Raises:
          BadInput: the records hold none.
        """
        rows = self.records
        if "fitness" in rows:  # else all of them are lost
            rows = rows[rows["round"] > 0].dropna(subset="fitness")
        if rows.empty:
            raise BadInput(f"{self.path}: its records hold no round with a fitness")
        return records.best_row(rows, minimise=self.task.minimise)

    @property
    def lineage(self) -> pd.DataFrame:
        """The records that the reported member's weights passed through.

        Oldest first: its hyperparameter schedule.
        """
        return records.lineage(self.records, *self._winner)

    @property
    def _winner(self) -> tuple[int, int]:
        return int(self.best["round"]), int(self.best["member"])

    @property
    def has_renderer(self) -> bool:
        """Whether the task acts in an environment with bodies that can be drawn."""
        return not self._why_not_drawn

    @property
    def _why_not_drawn(self) -> str:
        playback = self.task.playback
        if playback is None or playback.env.system is None:
            return "there are no bodies to draw"
        from bgpbt.viz.render.scene import why_not_drawn

        return why_not_drawn(playback.env.system)

    def policy(self) -> Policy:
        """The reported member's policy.

        Returns:
          `policy(carry, observations)` gives the next carry and a distribution over
          actions `[..., A]`, whose `mode()` is the action without noise. An episode
          begins with `policy.carry`.
        """
        policy = self._policy_of(self.load())
        return policy._replace(act=jax.jit(policy.act))

    def _policy_of(self, state: RunState) -> Policy:
        if self.task.playback is None:
            raise BadInput(f"{self.task.name}: it has no policy")
        hyperparams = spaces.decode(self.task.space, state.best.config)
        return self.task.playback.policy(state.best.state, hyperparams)

    def draw(self) -> list[Path]:
        """Draws the learning curve, the hyperparameter schedule, and what else the task
        names.

        Returns:
          The paths of the pictures, these two first.

        Raises:
          BadInput: the records are lost, or no round in which something was trained has
            a fitness.
        """
        from bgpbt.viz.figures import DrawnRun, draw_figures
        from bgpbt.viz.learning_curve import learning_curve
        from bgpbt.viz.schedule import hyperparameter_schedule

        title = title_of(self.options, self.path.name.replace("_", " "))
        curve = self.path / CURVE
        schedule = self.path / SCHEDULE
        rounds = self.records.get("round", ())
        only_untrained = len(rounds) > 0 and not any(rounds)
        winner = None if only_untrained else self._winner
        way: dict[str, Any] = {"winner": winner, "minimise": self.task.minimise}
        learning_curve(
            self.records,
            curve,
            title=title,
            return_label=self.task.return_label,
            report=self.report,
            **way,
        )
        limits = {name: axis_of(dim) for name, dim in self.task.space.items()}
        hyperparameter_schedule(
            self.records,
            schedule,
            space_limits=limits,
            title=title,
            **way,
        )
        run = DrawnRun(self.records, self.path, title, **way)
        return [curve, schedule, *draw_figures(run, self.task.figures)]

    def export(self, path: Path) -> None:
        """Writes the reported member's policy without noise, as arrays or a graph.

        Args:
          path: ends in `.npz`, which `bgpbt.numpy_policy` reads, or in `.onnx`.

        Raises:
          BadInput: the policy cannot be written as arrays, or ONNX is not installed.
          NotSaved: the file cannot be written.
        """
        arrays = self._policy_of(self.load()).arrays
        if arrays is None:
            raise BadInput(f"{self.task.name}: its policy cannot be written as arrays")
        if path.suffix == ".onnx":
            from bgpbt.onnx_policy import save_onnx

            save_onnx(arrays(), path)
            return
        content = io.BytesIO()
        named: dict[str, Any] = arrays()
        np.savez(content, **named)
        write(path, content.getvalue())

    def evaluate(self, episodes: int = 100, seed: int = 0) -> Trials:
        """Plays fresh episodes with the reported member, without noise.

        Args:
          episodes: how many.
          seed: of their start states; no run has seen them.

        Raises:
          BadInput: the task has no episodes, or the state cannot be read.
        """
        state = self.load()
        if self.task.playback is None:
            raise BadInput(f"{self.task.name}: it has no episodes, see its report")
        policy = self._policy_of(state)
        return try_policy(self.task.playback.env, policy, seed, episodes)

    def render(self, path: Path | None = None) -> Path:
        """Writes a moving GIF of one episode of the reported member.

        Args:
          path: of the GIF; None: `policy.gif` in the run's folder.

        Returns:
          Its path.

        Raises:
          BadInput: the environment has no bodies that can be drawn, the state cannot be
            read, or no file can be written there.
        """
        from bgpbt.film import SECONDS, save_film

        path = path or self.path / GIF
        check_file(path)
        film = self.film(seconds=SECONDS)
        assert self.task.playback is not None  # else there is no film
        save_film(self.task.playback.env, film, path)
        return path

    def film(
        self, frames_per_second: float | None = None, seconds: float | None = None
    ) -> "Film":
        """Records one episode of the reported member, without noise.

        Args:
          frames_per_second: at most about so many; None: as a GIF has.
          seconds: of simulated time; None: as long as an episode may be.

        Raises:
          BadInput: the environment has no bodies that can be drawn, or the state cannot
            be read.
        """
        from bgpbt.film import FRAMES_PER_SECOND, film_episode

        state = self.load()
        playback = self.task.playback
        if playback is None or self._why_not_drawn:
            raise BadInput(f"{self.task.name}: {self._why_not_drawn}")
        return film_episode(
            playback.env,
            self._policy_of(state),
            int(state.progress.seed),
            frames_per_second or FRAMES_PER_SECOND,
            seconds,
        )


def title_of(options: Options, which: str) -> str:
    """What a run is, in a few words."""
    strategy = base_name(options.strategy)
    if options.freeze:
        strategy += f" with {options.freeze} configurations"
    members = counted(options.pop_size, "member")
    return f"{options.run_label}, {strategy}, {members}, {which}"


def axis_of(dim: spaces.Dimension) -> tuple:
    """Range, whether the axis is logarithmic, and the names of categories.

    0.9 to 0.9999 reads best on a linear axis.
    """
    low, high = map(float, spaces.limits(dim))
    match dim:
        case spaces.Float():
            return low, high, dim.log and not dim.complement
        case spaces.Integer():
            return low, high, dim.log or dim.doubling
        case _:
            return low, high, False, tuple(map(str, dim.choices))
