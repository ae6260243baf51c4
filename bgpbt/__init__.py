"""Trains a whole population as one compiled program and evolves its hyperparameters.

The names below are loaded on first use: importing the package neither imports JAX nor
touches a device.
"""

from importlib import import_module

_HOME = {
    "bgpbt.api": (
        "dry_run",
        "make_strategy",
        "make_task",
        "open_run",
        "prepare",
        "run",
        "run_prepared",
        "run_seeds",
    ),
    "bgpbt.config.errors": (
        "BadInput",
        "NotSaved",
        "OutOfMemory",
        "PopulationLost",
    ),
    "bgpbt.config.loading": ("load_options",),
    "bgpbt.config.options": ("Options",),
    "bgpbt.result": ("Result",),
    "bgpbt.tasks.functions": ("task_from",),
    "bgpbt.training.observer": ("Round",),
    "bgpbt.tuner": ("Tuner",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "BadInput",
    "NotSaved",
    "Options",
    "OutOfMemory",
    "PopulationLost",
    "Result",
    "Round",
    "Tuner",
    "dry_run",
    "load_options",
    "make_strategy",
    "make_task",
    "open_run",
    "prepare",
    "run",
    "run_prepared",
    "run_seeds",
    "task_from",
]


def __getattr__(name: str):
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'bgpbt' has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)
