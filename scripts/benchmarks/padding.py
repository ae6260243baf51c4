"""What it costs that members have different networks.

The mixed population is drawn from the architecture space and lives in networks of its
largest depth and width. Beside it stand equal populations of the mean and of the
largest size. Spectral norm is built in all of them.
"""

from collections.abc import Callable

import numpy as np

from bgpbt import space as spaces
from bgpbt.config.options import Options
from bgpbt.execution.devices import DeviceLayout, choose_layout
from bgpbt.execution.programs import make_programs
from bgpbt.tasks.ppo.actor_critic import BLOCKS
from bgpbt.tasks.ppo.agents import Sizes
from bgpbt.tasks.ppo.spaces import architecture_space, hyperparameter_space
from scripts.benchmarks.cases import (
    DRAWS,
    FULL_UNROLL,
    Trainer,
    equal_config,
    small_options,
    trainer,
    variant,
)
from scripts.benchmarks.figures import Figure, Result, interleave, median, ratio


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Measures the three populations in turn."""
    options = small_options(quick)
    updates = 2 if quick else 8
    size = options.pop_size
    drawn = draw(size, DRAWS[0])
    sizes = {
        "mean": summarise_sizes(drawn, np.mean),
        "largest": summarise_sizes(drawn, np.max),
    }
    say(
        f"mean sizes {sizes['mean']}, largest sizes {sizes['largest']}: "
        "compiling three programs"
    )
    device_layout = choose_layout(size)
    trainers = {"mixed": mixed_trainer(options, drawn, device_layout)}
    for name, networks in sizes.items():
        task = variant(options, sizes=networks)
        trainers[name] = trainer(task, size, device_layout, **FULL_UNROLL)
    cases = {name: lambda t=t: t.rate(updates) for name, t in trainers.items()}
    for case in cases.values():
        case()
    rates = interleave(cases, repeats, say)
    settings = {
        "members": size,
        "draw": DRAWS[0],
        "updates": updates,
        "repeats": repeats,
        "drawn": {name: values.tolist() for name, values in drawn.items()},
    }
    return Result("padding", settings, _figures(rates, sizes), quick)


def draw(pop_size: int, seed: int) -> dict[str, np.ndarray]:
    """Architectures of a population, each value `[P]`."""
    space = architecture_space()
    rng = np.random.default_rng(seed)
    config = rng.uniform(size=(pop_size, len(space))).astype(np.float32)
    natural = spaces.decode(space, config)
    return {name: np.asarray(value) for name, value in natural.items()}


def summarise_sizes(drawn: dict[str, np.ndarray], summary: Callable) -> Sizes:
    """Depth and width of each block, summarised over the members."""
    return {
        block: tuple(
            round(float(summary(drawn[f"{block}_{part}"])))
            for part in ("depth", "width")
        )
        for block in BLOCKS
    }


def mixed_trainer(
    options: Options, drawn: dict[str, np.ndarray], device_layout: DeviceLayout
) -> Trainer:
    """Members that differ in nothing but the architecture."""
    space = hyperparameter_space(options.num_envs) | architecture_space()
    task = variant(options, space=space, sizes=summarise_sizes(drawn, np.max))
    config = equal_config(task, options.pop_size, **FULL_UNROLL)
    for i, (name, dim) in enumerate(task.space.items()):
        if name in drawn:
            config[:, i] = np.asarray(spaces.encode_dimension(dim, drawn[name]))
    return Trainer(make_programs(task, options.pop_size, device_layout), task, config)


def _figures(rates: dict[str, list[float]], sizes: dict[str, Sizes]) -> list[Figure]:
    words = {
        name: ", ".join(f"{b} {d}x{w}" for b, (d, w) in networks.items())
        for name, networks in sizes.items()
    }
    mixed, mean, largest = (rates[name] for name in ("mixed", "mean", "largest"))
    largest_words = words["largest"]
    return [
        median("mixed architectures", "steps/s", mixed, note=f"in {largest_words}"),
        median("equal, mean size", "steps/s", mean, note=words["mean"]),
        median("equal, largest size", "steps/s", largest, note=largest_words),
        ratio("mixed / equal of the mean size", mixed, mean),
        ratio("mixed / equal of the largest size", mixed, largest),
    ]
