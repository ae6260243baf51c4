"""What it costs that members have different networks: mixed architectures beside equal ones.

The mixed population is drawn from the architecture space and lives in networks of its largest depth and width. Beside it
stand equal populations of the mean and of the largest size. Spectral norm is built in all of them.
"""

from collections.abc import Callable

import numpy as np

from bgpbt import space as spaces
from bgpbt.population import arrange, make_programs
from bgpbt.tasks.learner import BLOCKS
from bgpbt.tasks.ppo import architecture_space, hyperparameter_space
from scripts.benchmarks.cases import DRAWS, FULL_UNROLL, Trainer, equal_config, small_options, trainer, variant
from scripts.benchmarks.figures import Result, interleave, median, ratio


def draw(pop_size: int, seed: int) -> dict[str, np.ndarray]:
    """Architectures of a population, each value `[P]`."""
    space = architecture_space()
    cube = np.random.default_rng(seed).uniform(size=(pop_size, len(space))).astype(np.float32)
    return {name: np.asarray(value) for name, value in spaces.decode(space, cube).items()}


def sizes_of(drawn: dict[str, np.ndarray], summary: Callable) -> dict[str, tuple[int, int]]:
    """Depth and width of each block, summarised over the members."""
    return {b: tuple(round(float(summary(drawn[f"{b}_{part}"]))) for part in ("depth", "width")) for b in BLOCKS}


def mixed_trainer(options, drawn: dict[str, np.ndarray], arrangement) -> Trainer:
    """Members that differ in nothing but the architecture."""
    space = hyperparameter_space(options.num_envs) | architecture_space()
    task = variant(options, space=space, sizes=sizes_of(drawn, np.max))
    config = equal_config(task, options.pop_size, **FULL_UNROLL)
    for i, (name, dim) in enumerate(task.space.items()):
        if name in drawn:
            config[:, i] = np.asarray(spaces.encode_dimension(dim, drawn[name]))
    return Trainer(make_programs(task, options.pop_size, arrangement), task, config)


def run(quick: bool, repeats: int, say: Callable) -> Result:
    """Measures the three populations in turn."""
    options, updates = small_options(quick), 2 if quick else 8
    size, arrangement = options.pop_size, arrange(options.pop_size)
    drawn = draw(size, DRAWS[0])
    mean, largest = sizes_of(drawn, np.mean), sizes_of(drawn, np.max)
    say(f"mean sizes {mean}, largest sizes {largest}: compiling three programs")
    trainers = {
        "mixed": mixed_trainer(options, drawn, arrangement),
        "mean": trainer(variant(options, sizes=mean), size, arrangement, **FULL_UNROLL),
        "largest": trainer(variant(options, sizes=largest), size, arrangement, **FULL_UNROLL),
    }
    cases = {name: lambda t=t: t.rate(updates) for name, t in trainers.items()}
    for case in cases.values():
        case()
    found = interleave(cases, repeats, say)
    words = {name: ", ".join(f"{b} {d}x{w}" for b, (d, w) in s.items()) for name, s in (("mean", mean), ("largest", largest))}
    figures = [
        median("mixed architectures", "steps/s", found["mixed"], note=f"in {words['largest']}"),
        median("equal, mean size", "steps/s", found["mean"], note=words["mean"]),
        median("equal, largest size", "steps/s", found["largest"], note=words["largest"]),
        ratio("mixed / equal of the mean size", found["mixed"], found["mean"]),
        ratio("mixed / equal of the largest size", found["mixed"], found["largest"]),
    ]
    settings = {"members": size, "draw": DRAWS[0], "updates": updates, "repeats": repeats}
    settings["drawn"] = {name: values.tolist() for name, values in drawn.items()}
    return Result("padding", settings, figures, quick)
