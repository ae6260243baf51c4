"""`-e path/to/file.py:function`: an environment of a user's file."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from bgpbt.config.errors import BadInput
from bgpbt.config.lookup import arguments_of, call_user_code, guarded, resolve
from bgpbt.environment import Env
from bgpbt.registry import ENVIRONMENT_PACKAGES
from bgpbt.tasks.ppo.adapted import adapted


def own_environment(
    word: str, settings: Mapping[str, Any], load: Callable[[str], ModuleType]
) -> Env:
    """Builds the environment, and makes ours of it where it is of another package.

    Args:
      word: `path/to/file.py:function`.
      settings: what the function may take: backend, episode_length, action_repeat.
      load: gives a file of the folder `envs`.

    Raises:
      BadInput: it cannot be built, or is none.
    """
    text = _text(word)
    noisy = "brax" in text or "mujoco" in text  # a word is enough, also in a comment
    with load("quiet").quiet_brax() if noisy else nullcontext():
        function = resolve("env_name", word, {})
        asked = arguments_of(function)
        make = partial(function, **{k: v for k, v in settings.items() if k in asked})
        made = call_user_code("env_name", word, "the function", make)
    if not isinstance(made, Env):
        made = _wrapped(word, made, settings, load)
    made = adapted(word, made)
    wrap = partial(guarded, "env_name", word)
    return made._replace(reset=wrap("reset", made.reset), step=wrap("step", made.step))


def _text(word: str) -> str:
    """The user's file as text; "" where it cannot be read, which `resolve` answers."""
    path = Path(word.rpartition(":")[0])
    return path.read_text(errors="ignore") if path.is_file() else ""


def _wrapped(
    word: str,
    made: Any,
    settings: Mapping[str, Any],
    load: Callable[[str], ModuleType],
) -> Env:
    first = made[0] if isinstance(made, tuple) and made else made
    package = package_of(first)
    if package is None:
        raise BadInput(
            f"env_name: {word} gives {type(made).__name__}, "
            f"not a bgpbt.environment.Env nor one of {', '.join(ENVIRONMENT_PACKAGES)}",
            "env_name",
        )
    path, _, function = word.rpartition(":")
    wrap = partial(
        load(package).wrap,
        made,
        name=f"{Path(path).stem}_{function}",
        episode_length=settings["episode_length"],
        action_repeat=settings["action_repeat"],
    )
    return call_user_code("env_name", word, "reset", wrap)


def package_of(made: Any) -> str | None:
    """Which of `ENVIRONMENT_PACKAGES` an environment's class comes from, if any."""
    bases = {base.__module__.partition(".")[0] for base in type(made).__mro__}
    return next((name for name in ENVIRONMENT_PACKAGES if name in bases), None)
