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
from bgpbt.execution.cache import cpu_features
from bgpbt.execution.devices import DeviceLayout
from bgpbt.execution.shapes import member_shapes
from bgpbt.execution.trees import leaves_by_path
from bgpbt.registry import (
    ENVIRONMENT_FAMILIES,
    ENVIRONMENT_PACKAGES,
    ENVIRONMENTS,
)
from bgpbt.space import Categorical, Float, Integer, SearchSpace
from bgpbt.storage.forms import TaskWords
from bgpbt.storage.schema import SCHEMA
from bgpbt.types import Task

# Packages whose versions change numbers, by task.
TASK_PACKAGES = {
    "classification": ("flax", "sklearn"),
    "nas": ("flax", "sklearn", "PIL"),
}
# Settings of JAX that change numbers.
NUMERICS = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
    "jax_random_seed_offset",
    "jax_numpy_dtype_promotion",
    "jax_disable_jit",
)
# Beside a package of environments, what computes their physics.
PHYSICS_PACKAGES = {"mujoco_playground": ("mujoco", "mujoco-mjx")}


def environment(options: Options, device_layout: DeviceLayout) -> dict[str, Any]:
    """Versions, devices and settings of JAX: where they differ, bits may, too."""
    names = ["jax", "jaxlib", "optax", "numpy", *TASK_PACKAGES.get(options.task, ())]
    if options.task == "ppo":
        names += _environment_packages(options.env_name)
        names += ["flax"] if options.recurrent else []
    if options.gp == "gpytorch":
        names += ["torch", "gpytorch"]
    versions = {name: _version(name) for name in names}
    return {
        "python": platform.python_version(),
        **versions,
        "device": jax.devices()[0].device_kind,
        "processor": hashlib.sha256(cpu_features().encode()).hexdigest()[:12],
        **device_layout._asdict(),
        **_numerics(),
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
        known = [stem] if stem in ENVIRONMENT_PACKAGES else []
        return [*known, *PHYSICS_PACKAGES.get(stem, ())]
    used = [package for package in ENVIRONMENT_PACKAGES if package in sys.modules]
    return [*used, *(x for stem in used for x in PHYSICS_PACKAGES.get(stem, ()))]


def identity(options: Options, task: Task) -> dict[str, Any]:
    """The content of a new run's `run.json`.

    It says what the run is, so that later versions can tell another run, another space
    and another file from its own.
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

    told = content.get("task", {})
    words: dict[str, Any] = {"name": "task", "blocks": ()}
    words |= {name: told[name] for name in TaskWords.model_fields if name in told}
    words["blocks"] = tuple(words["blocks"])
    try:
        space = read_space(content["space"])
    except (KeyError, TypeError) as error:
        raise BadInput(f"{problem} (run.json is damaged: {error})") from None
    return Task(
        space=space,
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


def _numerics() -> dict[str, Any]:
    """The settings of JAX and XLA that change numbers."""
    here = {name: getattr(jax.config, name, None) for name in NUMERICS}
    return here | {"XLA_FLAGS": os.environ.get("XLA_FLAGS", "")}
