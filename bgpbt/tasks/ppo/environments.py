"""Environments by name: each is built by a function of a file in the folder `envs`."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import jax

import bgpbt
from bgpbt.config.errors import BadInput, nearest
from bgpbt.environment import Env, at_defaults, with_objective
from bgpbt.registry import (
    ENVIRONMENT_FAMILIES,
    ENVIRONMENT_PACKAGES,
    ENVIRONMENTS,
)
from bgpbt.tasks.ppo.adapted import adapted
from bgpbt.tasks.ppo.own_environment import own_environment

PACKAGE = "bgpbt_envs"


def _folder() -> Path:
    """The folder `envs`: inside the installed package, or beside it in a checkout."""
    package = Path(bgpbt.__file__).parent
    inside = package / "envs"
    return inside if inside.is_dir() else package.parent / "envs"


def load_environment_file(stem: str) -> ModuleType:
    """Imports `envs/<stem>.py` as a module of a private package.

    The folder is not on the import path, so that none of its files can hide a package
    of the same name. Its files are modules of a package of this name, and import each
    other as such.

    Args:
      stem: the file's name without its ending.

    Returns:
      The module; the same one at every call.
    """
    if PACKAGE not in sys.modules:
        package = ModuleType(PACKAGE)
        package.__path__ = [str(_folder())]
        sys.modules[PACKAGE] = package
    return import_module(f"{PACKAGE}.{stem}")


def environment_names() -> dict[str, tuple[str, ...]]:
    """The names of all environments, by their family or the file that builds them.

    Those of a family have its prefix; one that is not installed has none. One of ours
    that has none is left out.
    """
    found: dict[str, list[str]] = {}
    for name, function in ENVIRONMENTS.items():
        found.setdefault(function.partition(":")[0], []).append(name)
    for prefix, function in ENVIRONMENT_FAMILIES.items():
        stem = function.partition(":")[0]
        inside = load_environment_file(stem).names()
        if inside or stem in ENVIRONMENT_PACKAGES:
            found[prefix] = [f"{prefix}:{name}" for name in inside]
    return {stem: tuple(names) for stem, names in found.items()}


def make_environment(
    name: str,
    *,
    backend: str = "spring",
    episode_length: int = 1000,
    action_repeat: int = 1,
    objective: str | None = None,
) -> Env:
    """Builds an environment.

    Args:
      name: one of `bgpbt.registry.ENVIRONMENTS`, one of a family such as
        `gymnax:CartPole-v1`, or `path/to/file.py:function`.
      backend: physics pipeline.
      episode_length: environment steps until an episode is cut off.
      action_repeat: environment steps per action.
      objective: which of its metrics is kept; None: none.

    Raises:
      BadInput: a family or a user's file has no such environment, or it has no such
        metric.
    """
    settings = {
        "backend": backend,
        "episode_length": episode_length,
        "action_repeat": action_repeat,
    }
    env = with_all_metrics(name, settings)
    if objective is not None:
        _check_metric(name, env, objective)
    return with_objective(env, objective)


def with_all_metrics(name: str, settings: dict[str, Any]) -> Env:
    """Builds an environment with all that it gives beside rewards.

    Args:
      name: as `make_environment` takes it.
      settings: values of backend, episode_length and action_repeat.

    Raises:
      BadInput: there is no such environment.
    """
    family, _, in_family = name.partition(":")
    if name in ENVIRONMENTS:
        stem, function = ENVIRONMENTS[name].split(":")
        return getattr(load_environment_file(stem), function)(name, **settings)
    if family in ENVIRONMENT_FAMILIES:
        stem, function = ENVIRONMENT_FAMILIES[family].split(":")
        make = getattr(load_environment_file(stem), function)
        return adapted(name, make(in_family, **settings))
    return own_environment(name, settings, load_environment_file)


def metric_names(env: Env) -> tuple[str, ...]:
    """What the episodes of an environment can be ranked by instead of their return.

    Args:
      env: with all of its metrics.
    """
    key = jax.eval_shape(lambda: jax.random.PRNGKey(0))
    return tuple(dict(jax.eval_shape(at_defaults(env).reset, key).metrics))


def _check_metric(name: str, env: Env, objective: str) -> None:
    metrics = metric_names(env)
    if objective not in metrics:
        close = nearest(objective, metrics) if metrics else "it has none"
        raise BadInput(
            f"objective: {name} has no metric {objective!r}, {close}", "objective"
        )
