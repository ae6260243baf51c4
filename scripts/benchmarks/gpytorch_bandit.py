"""The rival of the `bandit` measurement: fit and search plainly with PyTorch.

The model is that of the GPyTorch inference; the search moves in the same box, as many
walks side by side, as many rounds of a gradient step and of steps to neighbours of
whole numbers.
"""

from collections.abc import Callable

import jax
import numpy as np
import torch

from bgpbt import space as spaces
from bgpbt.gp import acquisition, fit
from bgpbt.gp.gpytorch_inference import exact_computations, maximise
from bgpbt.gp.gpytorch_model import Process, process
from bgpbt.gp.history import History
from bgpbt.gp.kernels import Params, Point
from bgpbt.gp.posterior import Data
from bgpbt.space import SearchSpace

EDGE = 0.2  # half of the box's
Score = Callable[[torch.Tensor], torch.Tensor]


def suggest(space: SearchSpace, rows: History) -> np.ndarray:
    """One suggestion around the last row, among `acquisition.STARTS` walks.

    Args:
      space: D dimensions.
      rows: what was observed.

    Returns:
      Shape `[D]`.
    """
    context = (rows.context - rows.context.min()) / np.ptp(rows.context)
    layout = acquisition.search_layout(space)
    centre = torch.as_tensor(rows.config[-1].astype(float))
    low, high = (centre - EDGE).clamp(0, 1), (centre + EDGE).clamp(0, 1)
    score = _bound(rows, context)
    generator = torch.Generator().manual_seed(0)
    shape = (acquisition.STARTS, len(centre))
    drawn = torch.rand(*shape, generator=generator, dtype=torch.float64)
    walks = low + (high - low) * drawn
    floats = torch.as_tensor(layout.values == 0)
    discrete = np.flatnonzero(layout.values)
    rng = np.random.default_rng(0)
    for _ in range(acquisition.ROUNDS):
        moved = _gradient_steps(score, walks, floats, low, high)
        neighbours = _neighbours(space, walks, discrete, rng)
        with torch.no_grad():
            tried = torch.cat([walks[None], moved, neighbours])
            best = score(tried).argmin(dim=0)
        walks = tried[best, torch.arange(len(walks))]
    with torch.no_grad():
        return walks[score(walks).argmin()].numpy()


def _bound(rows: History, context: np.ndarray) -> Score:
    """The lower confidence bound of configurations in the round after the last."""
    model, noise = _fit(rows, context)
    rest = torch.tensor([context[-1], rows.time[-1] + 1.0], dtype=torch.float64)

    def score(configs: torch.Tensor) -> torch.Tensor:
        flat = configs.reshape(-1, configs.shape[-1])
        inputs = torch.cat([flat, rest.expand(len(flat), 2)], dim=1)
        with exact_computations():
            prediction = model(inputs)
            deviation = (prediction.variance + noise).sqrt()
            bound = prediction.mean - acquisition.KAPPA * deviation
        return bound.reshape(configs.shape[:-1])

    return score


def _fit(rows: History, context: np.ndarray) -> tuple[Process, float]:
    """The process conditioned on all rows, and the noise of an observation."""
    x = np.concatenate([rows.config, context[:, None]], axis=1).astype(float)
    order = rows.cost.argsort().argsort()
    quantiles = torch.as_tensor((order + 1.0) / (len(order) + 1))
    y = torch.distributions.Normal(0, 1).icdf(quantiles).numpy()
    points = Point(x, np.zeros((len(x), 0)), rows.time.astype(float))
    data = Data(points, y, rows.valid)
    raw, _, _ = maximise(_starts(x.shape[1]), data, fit.ITERATIONS)
    return process(raw, data).eval(), fit.MIN_NOISE + float(np.exp(raw.noise))


def _starts(dimensions: int) -> list[Params]:
    centre, _ = fit.prior(dimensions, 0)
    starts = fit.starts(jax.random.PRNGKey(0), centre, fit.STARTS)
    drawn = jax.tree.map(np.asarray, starts)
    return [
        jax.tree.map(lambda x, i=i: x[i].astype(float), drawn)
        for i in range(fit.STARTS)
    ]


def _gradient_steps(
    score: Score,
    walks: torch.Tensor,
    floats: torch.Tensor,
    low: torch.Tensor,
    high: torch.Tensor,
) -> torch.Tensor:
    """Floats moved along the gradient by every step. Shape `[steps, walks, D]`."""
    steps = torch.tensor(acquisition.STEPS, dtype=torch.float64)[:, None, None]
    moving = walks.clone().requires_grad_()
    (slope,) = torch.autograd.grad(score(moving).sum(), moving)
    slope = torch.where(floats, slope * (high - low), 0)
    largest = slope.abs().amax(dim=1, keepdim=True).clamp_min(1e-12)
    direction = slope / largest * (high - low)
    return torch.where(floats, (walks - steps * direction).clamp(low, high), walks)


def _neighbours(
    space: SearchSpace,
    walks: torch.Tensor,
    discrete: np.ndarray,
    rng: np.random.Generator,
) -> torch.Tensor:
    """Walks with another value of one whole number. Shape `[neighbours, walks, D]`."""
    neighbours = walks.expand(acquisition.NEIGHBOURS, *walks.shape).clone()
    for neighbour in neighbours:
        dims = rng.choice(discrete, len(walks))
        centres = [spaces.bin_centres(list(space.values())[d]) for d in dims]
        values = [rng.choice(c) for c in centres]
        neighbour[range(len(walks)), dims] = torch.as_tensor(values)
    return neighbours
