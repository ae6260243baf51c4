"""`-t nas`: agents that design networks, as the options describe them."""

import hashlib
import os
from functools import partial
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.networks.canvas import JOINED, Sizes
from bgpbt.networks.structure import Rows
from bgpbt.tasks.nas import database, judges, table
from bgpbt.tasks.nas.agents import AGENTS, agent_of
from bgpbt.tasks.nas.apart import Apart, setting_of
from bgpbt.tasks.nas.cost import Cost
from bgpbt.tasks.nas.data import DataSet
from bgpbt.tasks.nas.database import Form
from bgpbt.tasks.nas.designer import DECISIONS
from bgpbt.tasks.nas.experiments import FILE, Experiments
from bgpbt.tasks.nas.profile import Profile
from bgpbt.tasks.nas.rewards import Judge, RewardData, nothing_known
from bgpbt.tasks.nas.task import Problem, nas
from bgpbt.types import PyTree, Task

MOST_KNOWN = 2**17  # designs that programs read
MOST_FOUND = 2**12  # designs that a member finds in a round; more are judged again
FEWEST_IMAGES = 10
FLOAT_BYTES = 4


def designing(options: Options) -> Task:
    """Builds the task that the options describe.

    `problem` names the data set, `alg_name` the agent. What a design is worth comes
    from `reward_table`, or its network is trained on images of `data_dir`.

    Args:
      options: of the run.

    Raises:
      BadInput: no such agent, data set or table, or the files cannot be used.
    """
    if options.alg_name not in AGENTS:
        raise BadInput(
            f"alg_name: {options.alg_name} designs no networks, give one of "
            f"{', '.join(AGENTS)}",
            "alg_name",
        )
    if options.search_mode != "hpo":
        raise BadInput(
            "search_mode: agents that design networks have no architectures to "
            "search, give -sm hpo",
            "search_mode",
        )
    if options.fitness == "concurrent":
        raise BadInput(
            "fitness: concurrent is for agents by ppo, give evaluation or training",
            "fitness",
        )
    for setting in ("t_ready", "t_ready_end"):
        decisions = getattr(options, setting)
        if decisions is not None and decisions < DECISIONS:
            raise BadInput(
                f"{setting}: {decisions} decisions are less than one update, give at "
                f"least {DECISIONS}",
                setting,
            )
    name, profile = problem_of(options)
    if options.reward_table is None:
        data = profile.load(name, options.data_dir)
        _check_enough(len(data.labels))
        channels, classes = data.images.shape[3], f", {data.classes} classes"
        judging, judge = trained_judge(profile, data)
        judged_by = _digest(data.images, data.labels)
        workspace_bytes = partial(_workspace_bytes, profile)
        cost = _cost(options, profile.sizes(data))
    else:
        channels, classes = None, ""  # a table does not say
        _check_table(options)
        worths = _table(options, name).worths
        judging, judge = jnp.asarray(worths), table.of_rows
        judged_by = _digest(worths)
        workspace_bytes = _no_network
        cost = None
    rules = profile.rules(options.design_steps)
    problem = Problem(
        rules=rules,
        judge=judge,
        move_factor=options.move_factor,
        sees_past=options.alg_name == "meta_a2c",
        most_found=min(_most_decisions(options), MOST_FOUND),
        penalty=cost.penalty if cost else None,
    )
    shared = _path(options.database) if options.database else None
    settings = profile._asdict() | {"judged_by": judged_by}
    cache = Experiments(name, profile.form, MOST_KNOWN, settings, shared, cost)
    best_design = {
        "designs": partial(_best, shared, name, profile.form),
        "side": profile.side,
        "channels": channels,
        "filters": profile.filters,
        "classifier": f"{profile.dense} units{classes}",
    }
    return nas(
        f"networks for {name}, designed by {options.alg_name}",
        problem,
        agent_of(options, rules),
        RewardData(judging, nothing_known(MOST_KNOWN, rules.depth)),
        cache,
        from_training=options.fitness == "training",
        episodes=options.eval_episodes,
        workspace_bytes=workspace_bytes,
        best_design=best_design,
    )


def _best(
    shared: Path | None, data_set: str, form: Form, folder: Path, count: int
) -> list[tuple[Rows, float]]:
    """The best designs of a run's database, as `database.best` gives them."""
    return database.best(shared or folder / FILE, data_set, form, count)


def problem_of(options: Options) -> tuple[str, Profile]:
    """The data set, and how networks for it are built and trained.

    Raises:
      BadInput: the table of rewards cannot be used.
    """
    name = options.problem or "digits"
    profile = Profile(
        side=options.image_side,
        depth=options.design_layers,
        filters=options.filters,
        dense=options.dense_units,
        max_images=options.max_images,
        epochs=options.epochs,
        batch_size=options.child_batch_size,
        learning_rate=options.child_learning_rate,
        designs=options.designs,
        norm=options.norm,
        decay=1.0 if options.quirks == "reference" else 0.2,
        third_split=options.quirks != "reference",
    )
    if options.reward_table is None:
        return name, profile
    return name, _as_in_table(profile, options, name)


# What is known of the networks of a table, and what it is called as a setting.
_OF_TABLES = {
    "side": "image_side",
    "depth": "design_layers",
    "filters": "filters",
    "dense": "dense_units",
    "norm": "norm",
    "max_images": "max_images",
    "epochs": "epochs",
    "batch_size": "child_batch_size",
    "learning_rate": "child_learning_rate",
}


def _as_in_table(profile: Profile, options: Options, name: str) -> Profile:
    """The profile of the networks that a table is of.

    Raises:
      BadInput: the table cannot be used, or its settings are none.
    """
    settings = _table(options, name).settings
    known = {field: settings[field] for field in _OF_TABLES if field in settings}
    try:
        if settings.get("designs", "chain") != "chain":
            raise BadInput("is not of chains")
        Options(**{_OF_TABLES[field]: x for field, x in known.items()})
    except BadInput as error:
        raise BadInput(
            f"reward_table: {options.reward_table}: {error}", "reward_table"
        ) from None
    return profile._replace(**known)


def _cost(options: Options, sizes: Sizes) -> Cost | None:
    """The terms of the reward beside the accuracy; None: there are none."""
    weights = options.density_weight, options.flops_weight
    return Cost(sizes, *weights) if any(weights) else None


def _check_table(options: Options) -> None:
    """Refuses what a table of accuracies of chains cannot answer."""
    without = {
        "designs": options.designs != "chain",
        "density_weight": options.density_weight != 0,
        "flops_weight": options.flops_weight != 0,
    }
    if asked := [name for name, is_asked in without.items() if is_asked]:
        raise BadInput(
            f"{asked[0]}: a table has the accuracies of chains alone, leave it out or "
            "leave out --reward_table",
            asked[0],
        )


def _check_enough(images: int) -> None:
    """Refuses so few images that a part of the split would have none."""
    if images < FEWEST_IMAGES:
        raise BadInput(
            f"problem: {images} images are too few to be split, give at least "
            f"{FEWEST_IMAGES}, and as many --max_images",
            "problem",
        )


def _table(options: Options, name: str) -> table.Table:
    return table.read(_path(options.reward_table or ""), name)


def _path(text: str) -> Path:
    """Of a file; `~` of a user who does not exist stays, and no file is found."""
    return Path(os.path.expanduser(text))


def trained_judge(profile: Profile, data: DataSet) -> tuple[PyTree, Judge]:
    """What a design is worth is the accuracy of its network after a short training."""
    setting = profile.sizes(data), profile.training
    child_data = profile.child_data(data)
    if profile.designs == "chain":
        return child_data, judges.of_chains(*setting)
    apart = Apart(setting_of(*setting, child_data))
    return child_data, judges.of_all(*setting, apart)


def _digest(*arrays: np.ndarray) -> str:
    """By which images, or a table, are known."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _no_network(size: dict[str, int]) -> int:
    """Bytes of a member that trains where a table judges."""
    return 3 * size["params"]


def _most_decisions(options: Options) -> int:
    """Decisions of the longest round."""
    return max(options.t_ready, options.t_ready_end or 0)


def _workspace_bytes(profile: Profile, size: dict[str, int]) -> int:
    """Bytes of a member while it trains: a network four times, a minibatch of images.

    Args:
      profile: of the networks.
      size: bytes of the fields of the member's state.
    """
    width = profile.filters * (JOINED if profile.designs == "branches" else 1)
    canvas = profile.side**2 * width
    weights = canvas * profile.dense + profile.depth * 25 * width * profile.filters
    activations = profile.depth * profile.batch_size * canvas
    return FLOAT_BYTES * (4 * weights + 3 * activations) + 3 * size["params"]
