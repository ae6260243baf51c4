"""The environments as text: their names, or what some of them are."""

import textwrap

from bgpbt.environment import Env
from bgpbt.viz.formatting import columns


def environment_list(names: dict[str, tuple[str, ...]]) -> list[str]:
    """The names under those of their packages, and how to bring one's own.

    Args:
      names: what `-e` takes, by package; none where a package is not installed.
    """
    lines = []
    for package, words in names.items():
        missing = f"cannot be imported: pip install '.[{package}]'"
        text = ", ".join(words) if words else missing
        indented = textwrap.wrap(
            text,
            88,
            initial_indent="  ",
            subsequent_indent="  ",
            break_on_hyphens=False,
        )
        lines += [package, *indented]
    return [*lines, "your own", "  path/to/file.py:function (docs/environments.md)"]


def environment_rows(envs: list[tuple[str, Env]]) -> list[str]:
    """A line for every environment: name, sizes, kind of action, length; and a head."""
    rows = [("environment", "observation", "actions", "episode", "picture")]
    rows += [(name, *_row(env)) for name, env in envs]
    return columns(rows)


def _row(env: Env) -> tuple[str, str, str, str]:
    kind = "choices" if env.discrete else "numbers in [-1, 1]"
    return (
        f"{env.observation_size} numbers",
        f"{env.action_size} {kind}",
        f"at most {env.episode_length} steps",
        "yes" if env.system is not None else "no",
    )
