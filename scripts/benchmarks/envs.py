"""Every environment: bare steps beside those of a training.

2 members x 64 environments, 2x64 networks, unroll 15, batch ratio 2^-1, 4 epochs; each
environment on the engine that its usual settings name. Rates are environment steps of
all members per second, compiled before.
"""

from collections.abc import Callable

from bgpbt.api import make_task
from bgpbt.config.loading import load_options
from bgpbt.config.options import Options
from bgpbt.execution.devices import choose_layout
from bgpbt.registry import ENVIRONMENTS
from bgpbt.tasks.ppo.spaces import ROLLOUT_LENGTH
from scripts.benchmarks.cases import FULL_UNROLL, raw_stepping, small_options, trainer
from scripts.benchmarks.figures import Figure, Result, interleave, median, ratio

REPEATS = 3
MEMBERS = 2
UPDATES = 8


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Measures one environment after the other."""
    names = ("fast", "goal") if quick else tuple(sorted(ENVIRONMENTS))
    updates = 1 if quick else UPDATES
    figures = []
    for name in names:
        say(f"compiling {name}")
        figures += rates(name, _options(name, quick), updates, repeats, say)
    settings = {"members": MEMBERS, "num_envs": _options(names[0], quick).num_envs}
    return Result("envs", settings | {"repeats": repeats}, figures, quick)


def rates(
    name: str, options: Options, updates: int, repeats: int, say: Callable
) -> list[Figure]:
    """The figures of one environment."""
    device_layout = choose_layout(MEMBERS)
    task = make_task(options)
    ours = trainer(task, MEMBERS, device_layout, **FULL_UNROLL)
    raw = raw_stepping(task.playback.env, MEMBERS, options.num_envs, device_layout)
    ours.train(1)
    raw(1)
    cases = {
        "raw": lambda: raw(updates * ROLLOUT_LENGTH),
        "training": lambda: ours.rate(updates),
    }
    measured = interleave(cases, repeats, say)
    return [
        median(f"{name}, raw", "steps/s", measured["raw"], note=options.backend),
        median(f"{name}, in training", "steps/s", measured["training"]),
        ratio(f"{name}, training / raw", measured["training"], measured["raw"]),
    ]


def _options(name: str, quick: bool) -> Options:
    """Small agents in an environment, on the engine of its usual settings."""
    usual = load_options({"env_name": name})
    return small_options(
        quick,
        env_name=name,
        backend=usual.backend,
        action_repeat=usual.action_repeat,
        pop_size=MEMBERS,
        n_init=MEMBERS,
        quantile_fraction=0.5,
    )
