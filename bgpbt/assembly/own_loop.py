"""What a `bgpbt.Tuner` is made of: a space, blocks and a strategy, without a task."""

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import numpy as np

from bgpbt.assembly.contract import check_needs, check_strategy, space_problem
from bgpbt.assembly.parts import guarded_strategy, offers
from bgpbt.config.errors import BadInput, nearest
from bgpbt.config.lookup import (
    build,
    call_user_code,
    kwargs_from,
    resolve,
    settings_of,
)
from bgpbt.config.options import Options
from bgpbt.registry import GENERATIONAL, STRATEGIES
from bgpbt.space import Categorical, SearchSpace
from bgpbt.storage.provenance import describe_space, read_space
from bgpbt.types import NEEDS, Strategy


class OwnLoop(NamedTuple):
    """A person's own training loop, as far as a strategy knows it."""

    space: SearchSpace
    blocks: tuple[str, ...]
    minimise: bool


class Method(NamedTuple):
    """A strategy by name, or a function that builds one."""

    word: str  # a name, or path/to/file.py:function
    function: Callable
    handed: bool  # as a function, which no file can hold


def make_own_loop(space: Any, blocks: Any, minimise: Any) -> OwnLoop:
    """Checks a search space, the names of blocks, and the direction.

    Args:
      space: name -> dimension.
      blocks: the parts of a member's weights that can be inherited separately.
      minimise: whether smaller fitness is better.

    Raises:
      BadInput: they cannot be used.
    """
    names = list(blocks) if isinstance(blocks, tuple | list) else []
    if not names or not all(isinstance(name, str) and name for name in names):
        raise BadInput(
            f"blocks: {blocks!r} are no names, give a tuple such as ('net',)", "blocks"
        )
    if len(set(names)) < len(names) or "hyperparameter" in names:
        raise BadInput(
            f"blocks: {names} name one twice, or 'hyperparameter', which is none",
            "blocks",
        )
    blocks = tuple(names)
    if not isinstance(minimise, bool):
        raise BadInput(f"minimise: {minimise!r} is neither True nor False", "minimise")
    if problem := space_problem(space, blocks):
        raise BadInput(problem, "space")
    for name, dim in space.items():
        if isinstance(dim, Categorical):
            _check_choices(name, dim)
    # Python's own numbers, which are the same when they are read from a file.
    return OwnLoop(read_space(describe_space(space)), blocks, minimise)


def _check_choices(name: str, dim: Categorical) -> None:
    """A choice is one that a file can hold."""
    for choice in dim.choices:
        plain = choice.item() if isinstance(choice, np.generic) else choice
        if plain is not None and not isinstance(plain, str | int | float):
            raise BadInput(
                f"space: {name}: choice {choice!r} is no text, number, True, False or "
                "None, give its name",
                "space",
            )


def find_method(strategy: Any) -> Method:
    """The function that builds a strategy.

    Args:
      strategy: a name, `path/to/file.py:function`, or a function of (space, blocks).

    Raises:
      BadInput: there is none.
    """
    if callable(strategy):
        code = getattr(strategy, "__code__", None)
        file = code.co_filename if code else "your code"
        name = getattr(strategy, "__name__", type(strategy).__name__)
        return Method(f"{file}:{name}", strategy, handed=True)
    if not isinstance(strategy, str):
        raise BadInput(
            f"strategy: {type(strategy).__name__} is no name, give one of "
            f"{', '.join(STRATEGIES)}, path/to/file.py:function, or a function of "
            "(space, blocks)",
            "strategy",
        )
    word = Options(strategy=strategy).with_absolute_paths().strategy
    return Method(word, resolve("strategy", word, STRATEGIES), handed=False)


def make_own_options(
    method: Method, pop_size: int, seed: int, settings: dict[str, Any]
) -> Options:
    """The settings of a Tuner, checked like those of a run.

    All members train from the first round on: there are no further candidates.

    Args:
      method: what takes the settings.
      pop_size: P.
      seed: one.
      settings: of the strategy, by name.

    Raises:
      BadInput: the strategy has no such setting, or a value is wrong.
    """
    known = settings_of(method.function)
    if unknown := [name for name in settings if name not in known]:
        close = nearest(unknown[0], known, None if known else "it has none")
        raise BadInput(
            f"{unknown[0]}: strategy {method.word} has no such setting, {close}",
            unknown[0],
        )
    named = {} if method.handed else {"strategy": method.word}
    # Nobody knows how long the person's rounds are. The toy is the task whose rounds
    # may have any length.
    length = settings.get("max_timesteps")
    if isinstance(length, int) and length > 0:
        named |= {"task": "toy", "t_ready": length}
    options = Options(
        pop_size=pop_size, n_init=pop_size, seed=seed, **named, **settings
    )
    if len(options.seed) > 1:
        raise BadInput(f"seed: {len(options.seed)} seeds, give one", "seed")
    return options


def make_own_strategy(loop: OwnLoop, method: Method, options: Options) -> Strategy:
    """Builds the strategy of a person's own loop.

    Args:
      loop: what it searches.
      method: what builds it.
      options: its settings, and P.

    Raises:
      BadInput: it needs bgpbt's own training, or cannot serve the space or P members.
    """
    word, function, _ = method
    is_own = word not in STRATEGIES
    settings = kwargs_from(options, function)
    strategy = build(
        "strategy", word, function, Strategy, loop.space, loop.blocks, **settings
    )
    if is_own:
        check_needs(word, strategy)
    has = offers(loop) | {"returns": True}  # `tell` sees whether it gets some
    if strategy.mutates:
        _refuse(f"{word} mutates weights, which only bgpbt's own training can")
    if word in GENERATIONAL and has["architectures"]:
        _refuse(
            f"{word} changes architectures through generations, which only bgpbt's own "
            "training has; give pbtnas, or a space of hyperparameters"
        )
    if missing := [need for need in strategy.needs if not has[need]]:
        _refuse(f"{word} needs {NEEDS[missing[0]]}, space has none")
    problem = call_user_code(
        "strategy", word, "validate", strategy.validate, options.pop_size
    )
    if problem:
        raise BadInput(problem, "strategy")
    if not is_own:
        return strategy
    check_strategy(word, strategy, loop, options.pop_size, num_returns=2)
    return guarded_strategy(word, strategy)


def _refuse(problem: str) -> NoReturn:
    raise BadInput(f"strategy: {problem}", "strategy")
