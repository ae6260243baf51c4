"""Trains a whole population as one compiled program and evolves its hyperparameters while it trains.

The names below are loaded on first use, so that importing the package neither imports JAX nor touches a device.
"""

_API = ("Result", "dry_run", "make_strategy", "make_task", "open_run", "run", "run_seeds")
_OPTIONS = ("BadInput", "NotAvailable", "Options", "PopulationLost", "load_options")

__all__ = [*_API, *_OPTIONS]


def __getattr__(name: str):
    if name in _OPTIONS:
        from bgpbt import options as module
    elif name in _API:
        from bgpbt import api as module
    else:
        raise AttributeError(f"module 'bgpbt' has no attribute {name!r}")
    return getattr(module, name)
