"""Ask and tell: a strategy beside a person's own training loop, in any library.

The engine and this call the same functions, so that the same history gives the same
decisions, to the bit. `P` members, `E` returns of an evaluation.
"""

import io
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from bgpbt import space as spaces
from bgpbt.assembly.own_loop import (
    find_method,
    make_own_loop,
    make_own_options,
    make_own_strategy,
)
from bgpbt.config.errors import BadInput
from bgpbt.config.lookup import kwargs_from
from bgpbt.execution.trees import difference
from bgpbt.space import SearchSpace
from bgpbt.storage.provenance import describe_space, read_space
from bgpbt.storage.single_file import read_file, write_file
from bgpbt.training.ask_and_tell import (
    Answer,
    State,
    Step,
    make_answer,
    natural_configs,
    play_told,
    untold,
)
from bgpbt.training.direction import flip_if_minimised
from bgpbt.training.round_records import in_own_numbers, member_columns
from bgpbt.training.told import read_told

__all__ = ["Answer", "SavedBest", "Tuner"]

# Of the file that `save` writes.
KIND = "tuner"
VERSION = 1


class SavedBest(NamedTuple):
    """The member with the best fitness of any round after training began."""

    round: int
    member: int
    fitness: float
    config: dict[str, Any]


class Tuner:
    """A population whose members the caller trains, with drawn configurations at first.

    Args:
      space: name -> Float, Integer or Categorical. Choices are text, numbers, True,
        False or None.
      strategy: a name, `path/to/file.py:function`, or a function of (space, blocks)
        that gives a `Strategy`.
      pop_size: members P.
      seed: of everything that is drawn.
      blocks: the parts of a member's weights that can be inherited separately.
      minimise: smaller fitness is better, as of a loss.
      **settings: of the strategy, by their usual names.

    Raises:
      BadInput: one of these cannot be used, or the strategy needs bgpbt's own training.
    """

    def __init__(
        self,
        space: SearchSpace,
        strategy: Any = "bgpbt",
        pop_size: int = 8,
        seed: int = 0,
        blocks: tuple[str, ...] = ("net",),
        *,
        minimise: bool = False,
        **settings: Any,
    ):
        self._loop = make_own_loop(space, blocks, minimise)
        self._method = find_method(strategy)
        options = make_own_options(self._method, pop_size, seed, settings)
        self._strategy = make_own_strategy(self._loop, self._method, options)
        self._decode = jax.jit(partial(spaces.decode, self._loop.space))
        self._records = ""  # as a table of text, like `records.csv` of a run
        self._words = {
            "space": describe_space(self._loop.space),
            "strategy": self._method.word,
            "pop_size": options.pop_size,
            "seed": options.seed[0],
            "blocks": self._loop.blocks,
            "minimise": self._loop.minimise,
            "settings": kwargs_from(options, self._method.function),
        }
        self._state = untold(
            self._loop, self._strategy, options.pop_size, options.seed[0]
        )

    @property
    def configs(self) -> list[dict[str, Any]]:
        """What the members train with next, P of them: natural values by name."""
        return self._natural(self._state.progress.config)

    @property
    def round(self) -> int:
        """How many rounds of training have been told."""
        return int(self._state.progress.round)

    @property
    def best(self) -> SavedBest | None:
        """The saved best; None before a round of training has been told."""
        best = self._state.best
        if best.fitness == -np.inf:
            return None
        (config,) = self._natural(best.config[None])
        fitness = float(flip_if_minimised(self._loop, best.fitness))
        return SavedBest(int(best.round), int(best.member), fitness, config)

    @property
    def records(self) -> pd.DataFrame:
        """One row for each round and member, with the columns that a run's have.

        A choice stands there as its place among the choices.
        """
        if not self._records:
            return pd.DataFrame()
        return pd.read_csv(io.StringIO(self._records), float_precision="round_trip")

    def tell(self, fitness: Any, steps: Any, returns: Any = None) -> list[Answer]:
        """Takes in a round, and says what every member does next.

        The first call is of the untrained members. A call that is refused changes
        nothing.

        Args:
          fitness: larger is better unless `minimise`; NaN = failed. What stands there
            for an idle member is ignored. Shape `[P]`.
          steps: what each active member has trained since the call before, in any unit;
            0 in the first call. Whole. Shape `[]` or `[P]`.
          returns: what the fitness is the mean of, NaN-padded; None: the fitness alone.
            Shape `[P, E]`.

        Returns:
          P answers, in the order of the members.

        Raises:
          BadInput: shapes or values are wrong, or the strategy needs returns.
          PopulationLost: all members failed in a round of training.
        """
        told = read_told(
            self._state.progress,
            fitness,
            steps,
            returns,
            searched=self._loop,
            is_first=not self._state.told,
            needs_returns="returns" in self._strategy.needs,
        )
        step = play_told(self._loop, self._strategy, self._state, told)
        rows = self._rows(step)
        configs = self._natural(step.decision.config)
        self._records += rows.to_csv(index=False, header=not self._records)
        self._state = step.state
        return [
            make_answer(self._loop.blocks, step.decision, member, config)
            for member, config in enumerate(configs)
        ]

    def save(self, path: str | Path) -> None:
        """Writes everything into one file, so that `load` goes on to the same bits.

        Raises:
          NotSaved: it could not be written; what was there before stays.
        """
        words = self._words | {
            "handed": self._method.handed,
            "records": self._records,
        }
        arrays = jax.tree.leaves(jax.device_get(self._state))
        write_file(Path(path), KIND, VERSION, words, arrays)

    @classmethod
    def load(cls, path: str | Path, strategy: Any = None) -> "Tuner":
        """Reads what `save` wrote.

        Args:
          path: of the file.
          strategy: as for a new Tuner; None: the saved one. A function has to be given
            again.

        Raises:
          BadInput: the file is damaged, of another kind or version, or its state does
            not fit the strategy.
        """
        words, arrays = read_file(Path(path), KIND, VERSION)
        handed, records = words.pop("handed"), words.pop("records")
        if strategy is None and handed:
            raise BadInput(
                f"{path}: its strategy {words['strategy']} was given as a function, "
                "give it again: load(path, strategy=...)",
                "strategy",
            )
        if isinstance(strategy, str) and strategy != words["strategy"]:
            raise BadInput(
                f"{path}: its strategy is {words['strategy']}, not {strategy}, "
                "leave it out",
                "strategy",
            )
        words |= {"space": read_space(words["space"])}
        words |= {"strategy": strategy or words["strategy"]} | words.pop("settings")
        tuner = cls(**words)
        tuner._records = records
        tuner._state = _restored(tuner, str(path), arrays)
        return tuner

    def _natural(self, config: np.ndarray) -> list[dict[str, Any]]:
        return natural_configs(self._loop.space, self._decode, config)

    def _rows(self, step: Step) -> pd.DataFrame:
        """The records of a round: as those of the engine, without generations."""
        played = step.played
        values = self._decode(played.config)
        columns = {name: values[name] for name in self._loop.space}
        columns |= self._strategy.diagnostics(step.chosen_by)
        size = len(played.config)
        columns = (
            {"round": int(played.round), "generation": 0, "phase": "training"}
            | member_columns(self._loop.blocks, played)
            | {k: np.broadcast_to(np.asarray(x), size) for k, x in columns.items()}
        )
        return pd.DataFrame(in_own_numbers(self._loop, columns))


def _restored(tuner: Tuner, path: str, arrays: list[np.ndarray]) -> State:
    """The saved arrays in the shape of a state.

    Raises:
      BadInput: they are of another strategy.
    """
    leaves, structure = jax.tree.flatten(tuner._state)
    problem = f"{len(arrays)} arrays there, {len(leaves)} here"
    if len(arrays) == len(leaves):
        state = structure.unflatten(map(_like, leaves, arrays))
        problem = difference(state, tuner._state)
        if not problem:
            return state
    raise BadInput(
        f"{path}: its state is not one of strategy {tuner._method.word}: {problem}",
        "strategy",
    )


def _like(leaf: Any, x: np.ndarray) -> Any:
    """A saved array of the kind that `leaf` is; bfloat16 comes back as bytes."""
    if x.dtype.kind == "V":
        x = x.view(leaf.dtype)
    return jnp.asarray(x) if isinstance(leaf, jax.Array) else x
