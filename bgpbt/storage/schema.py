"""Versions of the format of a run folder, and how older ones are read.

1: folders without `run.json`, written until November 2026. Checkpoints name their
   leaves by the field names of that time.
2: `run.json` and every checkpoint's `layout.json` say the version.
3: a checkpoint's layout says of which run it is, how many rows the records have, and
   what its arrays are, which are one vector.
"""

import re
from typing import Any

from bgpbt.config.errors import BadInput

SCHEMA = 3

_MEMBER = r"^(population\.\d+|best|teacher)\."
# By schema n: (pattern of a leaf's name in n + 1, its name in n). The patterns of a
# schema are applied one after the other.
_RENAMED_TO: dict[int, tuple[tuple[str, str], ...]] = {
    1: (
        (r"^progress\.paddings$", "progress.sizes"),
        (r"^best\.padding$", "progress.best_size"),
        (r"^best\.(fitness|round|member|age|config)$", r"progress.best_\1"),
        (r"^best\.state\.", "best."),
        (_MEMBER + r"opt_state\b", r"\1.moments"),
        (_MEMBER + r"statistics\b", r"\1.shared"),
        (_MEMBER + r"env_state\.complete$", r"\1.env_state.whole"),
        (_MEMBER + r"env_state\b", r"\1.world"),
        (r"^generation\.trigger$", "generation.why"),
        (r"^generation\.stalled_rounds$", "generation.stalled"),
        (r"^generation\.architectures\.", "generation.tried."),
        (r"^strategy\.stalled_rounds$", "strategy.stalled"),
        (r"^strategy\.raw\.category_weights$", "strategy.raw.overlap"),
        (r"^strategy\.raw\.mixture_weight$", "strategy.raw.mix"),
    ),
}
# By schema n: patterns of the leaves that n has and n - 1 lacks.
_ADDED_IN: dict[int, tuple[str, ...]] = {}


def leaf_name(name: str, schema: int) -> str | None:
    """What a leaf is called in a checkpoint of that schema.

    Args:
      name: its path by today's field names.
      schema: of the checkpoint.

    Returns:
      The name, or None where that schema had no such leaf.
    """
    for later in range(SCHEMA, schema, -1):
        if any(re.search(pattern, name) for pattern in _ADDED_IN.get(later, ())):
            return None
        for pattern, old in _RENAMED_TO.get(later - 1, ()):
            name = re.sub(pattern, old, name)
    return name


def upgrade_layout(layout: dict[str, Any]) -> dict[str, Any]:
    """The layout of a checkpoint in today's words."""
    schema = layout.get("schema", 1)
    if schema > 1:
        return layout
    return {
        "schema": schema,
        "paddings": layout["sizes"],
        "best_padding": layout["best_size"],
        "teacher": layout["teacher"],
    }


def check_schema(schema: Any, where: str) -> None:
    """Refuses a format that this version cannot read.

    Args:
      schema: what `where` says.
      where: the file that says it.

    Raises:
      BadInput: it is not known here.
    """
    if schema not in range(1, SCHEMA + 1):
        raise BadInput(
            f"{where}: schema {schema!r} is not known here (1 to {SCHEMA} are), "
            "use the version of bgpbt that wrote it"
        )
