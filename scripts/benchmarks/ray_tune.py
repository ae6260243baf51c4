"""Ray Tune with a model of one number: what a generation costs beside the training.

Importing this module needs Ray.
"""

import contextlib
import io
import itertools
import logging
import tempfile
import time
from pathlib import Path

import ray
from ray import tune
from ray.tune.schedulers import PopulationBasedTraining

EVERY = {
    "time_attr": "training_iteration",
    "perturbation_interval": 1,
    "quantile_fraction": 0.25,
    "synch": True,
}
BOUNDS = {"learning_rate": (1e-4, 1e-1), "momentum": (0.1, 0.9)}
TRIALS = 8


class OneNumber(tune.Trainable):
    """Grows by a value of its hyperparameters in every step."""

    def setup(self, config):
        self.number = 0.0

    def step(self):
        self.number += 1 - (self.config["momentum"] - 0.6) ** 2
        return {"score": self.number}

    def save_checkpoint(self, checkpoint_dir):
        (Path(checkpoint_dir) / "number").write_text(str(self.number))

    def load_checkpoint(self, checkpoint_dir):
        self.number = float((Path(checkpoint_dir) / "number").read_text())

    def reset_config(self, new_config):
        self.config = new_config
        return True


def pbt():
    """Their PBT, a quarter of the trials replaced."""
    space = {name: tune.uniform(*limits) for name, limits in BOUNDS.items()}
    return PopulationBasedTraining(hyperparam_mutations=space, **EVERY)


def pb2():
    """Their PB2.

    Raises:
      ImportError: a package that it needs is missing.
    """
    import GPy  # noqa: F401  # PB2 says a RuntimeError otherwise
    from ray.tune.schedulers.pb2 import PB2

    bounds = {name: list(limits) for name, limits in BOUNDS.items()}
    return PB2(hyperparam_bounds=bounds, **EVERY)


SCHEDULERS = {"pbt": pbt, "pb2": pb2}


class Clock(tune.Callback):
    """When the last trial of each generation answered."""

    def __init__(self):
        self.last = {}

    def on_trial_result(self, iteration, trials, trial, result, **info):
        self.last[result["training_iteration"]] = time.monotonic()


def generations(name: str, number: int) -> list[float]:
    """Seconds of every generation of a run of `number`, but the first."""
    if not ray.is_initialized():
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    clock = Clock()
    scheduler = SCHEDULERS[name]()
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.redirect_stdout(io.StringIO()):
            results = _tuner(scheduler, clock, folder, number).fit()
    if results.num_errors or len(results) != TRIALS:
        raise RuntimeError(
            f"Ray Tune's {name}: {results.num_errors} of {len(results)} trials failed"
        )
    if " 0 perturbs" in scheduler.debug_string():
        raise RuntimeError(f"Ray Tune's {name} decided nothing")
    times = [clock.last[i] for i in range(1, number + 1)]
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def _tuner(scheduler, clock: Clock, folder: str, number: int) -> tune.Tuner:
    """A run of `number` generations in a folder."""
    return tune.Tuner(
        tune.with_resources(OneNumber, {"cpu": 0.1}),
        param_space={name: tune.uniform(*limits) for name, limits in BOUNDS.items()},
        tune_config=tune.TuneConfig(
            scheduler=scheduler,
            metric="score",
            mode="max",
            num_samples=TRIALS,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            storage_path=folder,
            stop={"training_iteration": number},
            callbacks=[clock],
            verbose=0,
        ),
    )
