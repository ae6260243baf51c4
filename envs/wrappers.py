"""Environments of other packages must come without wrappers that end episodes."""

from collections.abc import Sequence
from typing import Any

from bgpbt.config.errors import BadInput


def check_unwrapped(name: str, env: Any, wrappers: Sequence[str], how: str) -> None:
    """Refuses an environment in a wrapper that ends or resets episodes.

    Args:
      name: of the environment.
      env: it, perhaps in wrappers that keep what is inside as `env`.
      wrappers: names of the classes that are refused, and their subclasses.
      how: what gives an environment without them.

    Raises:
      BadInput: it is in one of them.
    """
    inside = env
    while inside is not None:
        classes = {base.__name__ for base in type(inside).__mro__}
        if classes & set(wrappers):
            raise BadInput(
                f"env_name: {name}: {type(inside).__name__} ends or resets episodes, "
                f"which bgpbt does; give what is inside, or {how}",
                "env_name",
            )
        inside = vars(inside).get("env")
