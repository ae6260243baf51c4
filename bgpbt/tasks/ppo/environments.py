"""Environments by name: each is built by a function of a file in the folder `envs`."""

import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType

import bgpbt
from bgpbt.environment import Env
from bgpbt.registry import ENVIRONMENTS


def _folder() -> Path:
    """The folder `envs`: inside the installed package, or beside it in a checkout."""
    package = Path(bgpbt.__file__).parent
    inside = package / "envs"
    return inside if inside.is_dir() else package.parent / "envs"


def load_environment_file(stem: str) -> ModuleType:
    """Imports `envs/<stem>.py` under a private name.

    The folder is not on the import path, so that none of its files can hide a package
    of the same name.

    Args:
      stem: the file's name without its ending.

    Returns:
      The module; the same one at every call.
    """
    name = f"bgpbt_envs_{stem}"
    if name in sys.modules:
        return sys.modules[name]
    path = str(_folder() / f"{stem}.py")
    loader = SourceFileLoader(name, path)
    module = module_from_spec(ModuleSpec(name, loader, origin=path))
    module.__file__ = path
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def make_environment(
    name: str,
    *,
    backend: str = "spring",
    episode_length: int = 1000,
    action_repeat: int = 1,
) -> Env:
    """Builds an environment of `bgpbt.registry.ENVIRONMENTS`.

    Args:
      name: of the environment.
      backend: physics pipeline.
      episode_length: environment steps until an episode is cut off.
      action_repeat: environment steps per action.
    """
    stem, function = ENVIRONMENTS[name].split(":")
    return getattr(load_environment_file(stem), function)(
        name,
        backend=backend,
        episode_length=episode_length,
        action_repeat=action_repeat,
    )
