"""The environments as text: their names, or what some of them are."""

import textwrap

from bgpbt.environment import Env
from bgpbt.viz.formatting import columns
from bgpbt.viz.render.scene import why_not_drawn
from bgpbt.viz.space_table import space_table

NONE = ["  none"]


def environment_list(names: dict[str, tuple[str, ...]]) -> list[str]:
    """The names under those of their packages, and how to bring one's own.

    Args:
      names: what `-e` takes, by package; none where a package is not installed.
    """
    lines = []
    for package, words in names.items():
        missing = f"cannot be imported: pip install '.[{package}]'"
        text = ", ".join(words) if words else missing
        lines += [package, *_indented(text)]
    return [*lines, "your own", "  path/to/file.py:function (docs/environments.md)"]


def environment_page(name: str, env: Env, metrics: tuple[str, ...]) -> list[str]:
    """All that a user can choose of one environment, or must know of it.

    Args:
      name: what `-e` takes.
      env: the environment.
      metrics: what `--objective` can name.
    """
    observation, actions, episode, picture = _row(env)
    held = "1 step" if env.action_repeat == 1 else f"{env.action_repeat} steps"
    facts = {
        "environment": name,
        "observation": observation,
        "actions": actions,
        "an action": f"is held for {held}",
        "episode": episode,
        "picture": picture,
    }
    knobs = [f"  {line}" for line in space_table(env.knobs)] if env.knobs else NONE
    named = _indented(", ".join(metrics)) if metrics else NONE
    return [
        *columns(list(facts.items())),
        "",
        "knobs, searched unless --fix names them",
        *knobs,
        "",
        "metrics, of which --objective may name one",
        *named,
    ]


def environment_rows(envs: list[tuple[str, Env]]) -> list[str]:
    """A line for every environment: name, sizes, kind of action, length; and a head."""
    rows = [("environment", "observation", "actions", "episode", "picture")]
    rows += [(name, *_row(env)) for name, env in envs]
    return columns(rows)


def _indented(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        88,
        initial_indent="  ",
        subsequent_indent="  ",
        break_on_hyphens=False,
    )


def _row(env: Env) -> tuple[str, str, str, str]:
    picture = "no"
    if env.system is not None:
        problem = why_not_drawn(env.system)
        picture = f"no: {problem}" if problem else "yes"
    kind = "choices" if env.discrete else "numbers in [-1, 1]"
    return (
        f"{env.observation_size} numbers",
        f"{env.action_size} {kind}",
        f"at most {env.episode_length} steps",
        picture,
    )
