"""What a run is and what its bits depend on, beside the settings."""

import hashlib
import os
import platform
import sys
import uuid
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.config.parsers import TABLES, user_file
from bgpbt.execution.devices import DeviceLayout
from bgpbt.execution.shapes import member_shapes
from bgpbt.execution.trees import leaves_by_path
from bgpbt.registry import (
    ENVIRONMENT_FAMILIES,
    ENVIRONMENT_PACKAGES,
    ENVIRONMENTS,
)
from bgpbt.space import Categorical, Float, Integer, SearchSpace
from bgpbt.storage.schema import SCHEMA
from bgpbt.types import Task

# Packages whose versions change numbers, by task.
TASK_PACKAGES = {"classification": ("flax", "sklearn")}
# Beside a package of environments, what computes their physics.
PHYSICS_PACKAGES = {"mujoco_playground": ("mujoco", "mujoco-mjx")}


def environment(options: Options, device_layout: DeviceLayout) -> dict[str, Any]:
    """Versions and devices; where they differ, a resumed run has other bits."""
    names = ["jax", "jaxlib", "optax", "numpy", *TASK_PACKAGES.get(options.task, ())]
    if options.task == "ppo":
        names += _environment_packages(options.env_name)
    if options.gp == "gpytorch":
        names += ["torch", "gpytorch"]
    versions = {name: _version(name) for name in names}
    return {
        "python": platform.python_version(),
        **versions,
        "device": jax.devices()[0].device_kind,
        **device_layout._asdict(),
    }


def _version(name: str) -> str:
    """The version of a module, or of a package that has another name."""
    module = import_module(name) if find_spec(name) else None
    said = getattr(module, "__version__", None)
    packages = {} if said else metadata.packages_distributions()
    return said or metadata.version(packages.get(name, [name])[0])


def _environment_packages(name: str) -> list[str]:
    """The packages whose environments may be behind a name, where they are in use."""
    if name in ENVIRONMENTS:
        stem = ENVIRONMENTS[name].partition(":")[0]
        return [stem] if stem in ENVIRONMENT_PACKAGES else []
    family = name.partition(":")[0]
    if family in ENVIRONMENT_FAMILIES:
        stem = ENVIRONMENT_FAMILIES[family].partition(":")[0]
        return [stem, *PHYSICS_PACKAGES.get(stem, ())]
    used = [package for package in ENVIRONMENT_PACKAGES if package in sys.modules]
    return [*used, *(x for stem in used for x in PHYSICS_PACKAGES.get(stem, ()))]


def identity(options: Options, task: Task) -> dict[str, Any]:
    """The content of a new run's `run.json`.

    It says what the run is, so that later versions can tell another run, another space,
    another file and other numerics from its own.
    """
    return {
        "schema": SCHEMA,
        "id": uuid.uuid4().hex,
        "task": {
            "name": task.name,
            "blocks": task.blocks,
            "step_unit": task.step_unit,
            "return_label": task.return_label,
            "minimise": task.minimise,
        },
        "space": describe_space(task.space),
        "files": (files := file_hashes(options)),
        # What a file of the user's may change without a word.
        "member": describe_member(task) if files else None,
        "numerics": numerics(),
    }


def describe_member(task: Task) -> dict[str, str]:
    """What a member is: type and shape of its arrays by path, and its actions."""
    words = leaves_by_path(member_shapes(task))
    if task.playback is not None:
        env = task.playback.env
        kind = "choices" if getattr(env, "discrete", False) else "numbers"
        words["actions"] = f"{getattr(env, 'action_size', 'some')} {kind}"
    return words


def describe_space(space: SearchSpace) -> list[dict[str, Any]]:
    """Every dimension in its order, in JSON's words."""
    return [
        {"name": name, "kind": type(dim).__name__}
        | {k: _plain(v) for k, v in dim._asdict().items() if k not in ("least", "most")}
        for name, dim in space.items()
    ]


def _plain(value: Any) -> Any:
    """A value as JSON has it: choices may be of any kind, and stand there by name."""
    if isinstance(value, tuple | list):
        return [_plain(x) for x in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, str | int | float):
        return value
    return getattr(value, "__name__", str(value))


def read_space(dimensions: list[dict[str, Any]]) -> SearchSpace:
    """The search space that `describe_space` described."""
    kinds: dict[str, Any] = {
        kind.__name__: kind for kind in (Float, Integer, Categorical)
    }
    space: SearchSpace = {}
    for fields in dimensions:
        fields = dict(fields)
        name, kind = fields.pop("name"), fields.pop("kind")
        if "choices" in fields:
            fields["choices"] = tuple(fields["choices"])
        space[name] = kinds[kind](**fields)
    return space


def recorded_task(content: dict[str, Any], problem: str) -> Task:
    """What `run.json` knows of a task whose file is not there: enough for figures.

    Args:
      content: of `run.json`.
      problem: why there is no more; its functions raise BadInput with it.
    """

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise BadInput(problem, "task")

    words: dict[str, Any] = {"name": "task", "blocks": (), **content.get("task", {})}
    words["blocks"] = tuple(words["blocks"])
    return Task(
        space=read_space(content["space"]),
        timesteps_per_update=1,
        init=refuse,
        train=refuse,
        evaluate=refuse,
        **words,
    )


def file_hashes(options: Options) -> dict[str, str]:
    """SHA-256 of the user's files, by setting."""
    words = {setting: getattr(options, setting) for setting in TABLES}
    paths = {setting: user_file(word) for setting, word in words.items()}
    return {
        setting: hashlib.sha256(Path(path).read_bytes()).hexdigest()
        for setting, path in paths.items()
        if path and Path(path).is_file()
    }


def numerics() -> dict[str, Any]:
    """What changes numbers beside versions and devices."""
    config: Any = jax.config
    return {
        "x64": bool(config.jax_enable_x64),
        "matmul_precision": config.jax_default_matmul_precision,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }
