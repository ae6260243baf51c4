"""What a run is and what its bits depend on, beside the settings."""

import hashlib
import os
import platform
import uuid
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.execution.devices import DeviceLayout
from bgpbt.registry import ENVIRONMENTS
from bgpbt.space import Categorical, Float, Integer, SearchSpace
from bgpbt.storage.schema import SCHEMA
from bgpbt.types import Task

# Packages whose versions change numbers, by task, and by the file of an environment.
TASK_PACKAGES = {"classification": ("flax", "sklearn")}
ENVIRONMENT_PACKAGES = {"brax": ("brax",)}


def environment(options: Options, device_layout: DeviceLayout) -> dict[str, Any]:
    """Versions and devices; where they differ, a resumed run has other bits."""
    names = ["jax", "jaxlib", "optax", "numpy", *TASK_PACKAGES.get(options.task, ())]
    if options.task == "ppo":
        file = ENVIRONMENTS[options.env_name].partition(":")[0]
        names += ENVIRONMENT_PACKAGES.get(file, ())
    if options.gp == "gpytorch":
        names += ["torch", "gpytorch"]
    versions = {name: __import__(name).__version__ for name in names}
    return {
        "python": platform.python_version(),
        **versions,
        "device": jax.devices()[0].device_kind,
        **device_layout._asdict(),
    }


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
        "files": file_hashes(options),
        "numerics": numerics(),
    }


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


def recorded_task(content: dict[str, Any], problem: str) -> Task:
    """What `run.json` knows of a task whose file is not there: enough for figures.

    Args:
      content: of `run.json`.
      problem: why there is no more; its functions raise BadInput with it.
    """

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise BadInput(problem, "task")

    kinds: dict[str, Any] = {
        kind.__name__: kind for kind in (Float, Integer, Categorical)
    }
    space: SearchSpace = {}
    for fields in content["space"]:
        fields = dict(fields)
        name, kind = fields.pop("name"), fields.pop("kind")
        if "choices" in fields:
            fields["choices"] = tuple(fields["choices"])
        space[name] = kinds[kind](**fields)
    words: dict[str, Any] = {"name": "task", "blocks": (), **content.get("task", {})}
    words["blocks"] = tuple(words["blocks"])
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
    words = {"task": options.task, "strategy": options.strategy}
    paths = {
        setting: Path(word.rpartition(":")[0])
        for setting, word in words.items()
        if ":" in word
    }
    return {
        setting: hashlib.sha256(path.read_bytes()).hexdigest()
        for setting, path in paths.items()
        if path.is_file()
    }


def numerics() -> dict[str, Any]:
    """What changes numbers beside versions and devices."""
    config: Any = jax.config
    return {
        "x64": bool(config.jax_enable_x64),
        "matmul_precision": config.jax_default_matmul_precision,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }
