"""The rival of the `bandit` measurement: fit and search written plainly with GPyTorch and PyTorch.

The model is the second engine's; the search moves in the same box, as many walks side by side, as many rounds of a
gradient step and of hops over whole numbers.
"""

import jax
import numpy as np
import torch

from bgpbt import space as spaces
from bgpbt.gp import acquisition, fit, gpytorch_engine
from bgpbt.gp.history import History
from bgpbt.gp.kernels import Params, Point
from bgpbt.gp.posterior import Data
from bgpbt.space import SearchSpace


def _starts(dimensions: int) -> list[Params]:
    centre = fit.prior(dimensions, 0)[0]
    drawn = jax.tree.map(np.asarray, fit.starts(jax.random.PRNGKey(0), centre, fit.STARTS))
    return [jax.tree.map(lambda x, i=i: x[i].astype(float), drawn) for i in range(fit.STARTS)]


def suggest(space: SearchSpace, rows: History) -> np.ndarray:
    """One suggestion around the last row, among `acquisition.STARTS` walks. Shape `[D]`."""
    scaled = (rows.context - rows.context.min()) / np.ptp(rows.context)
    x = np.concatenate([rows.config, scaled[:, None]], axis=1).astype(float)
    order = rows.cost.argsort().argsort()
    y = torch.distributions.Normal(0, 1).icdf(torch.as_tensor((order + 1.0) / (len(order) + 1))).numpy()
    data = Data(Point(x, np.zeros((len(x), 0)), rows.time.astype(float)), y, rows.valid)
    raw, _, _ = gpytorch_engine.climb(_starts(x.shape[1]), data, fit.ITERATIONS)
    model = gpytorch_engine.process(raw, data).eval()
    noise = fit.LEAST_NOISE + float(np.exp(raw.noise))
    plan, centre = acquisition.layout(space), torch.as_tensor(x[-1, :-1])
    floats = torch.as_tensor(plan.values == 0)
    low, high = (centre - 0.2).clamp(0, 1), (centre + 0.2).clamp(0, 1)
    rest = torch.tensor([scaled[-1], rows.time[-1] + 1.0], dtype=torch.float64)

    def score(configs):
        flat = configs.reshape(-1, len(centre))
        with gpytorch_engine.exactly():
            found = model(torch.cat([flat, rest.expand(len(flat), 2)], dim=1))
            return (found.mean - acquisition.KAPPA * (found.variance + noise).sqrt()).reshape(configs.shape[:-1])

    generator = torch.Generator().manual_seed(0)
    walks = low + (high - low) * torch.rand(acquisition.STARTS, len(centre), generator=generator, dtype=torch.float64)
    steps = torch.tensor(acquisition.STEPS, dtype=torch.float64)[:, None, None]
    discrete = np.flatnonzero(plan.values)
    rng = np.random.default_rng(0)
    for _ in range(acquisition.ROUNDS):
        moving = walks.clone().requires_grad_()
        (slope,) = torch.autograd.grad(score(moving).sum(), moving)
        slope = torch.where(floats, slope * (high - low), 0)
        direction = slope / slope.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) * (high - low)
        slid = torch.where(floats, (walks - steps * direction).clamp(low, high), walks)
        hopped = walks.expand(acquisition.NEIGHBOURS, *walks.shape).clone()
        for neighbour in hopped:
            dims = rng.choice(discrete, len(walks))
            centres = [spaces.bin_centres(list(space.values())[d]) for d in dims]
            neighbour[range(len(walks)), dims] = torch.as_tensor([rng.choice(c) for c in centres])
        with torch.no_grad():
            tried = torch.cat([walks[None], slid, hopped])
            best = score(tried).argmin(dim=0)
        walks = tried[best, torch.arange(len(walks))]
    with torch.no_grad():
        return walks[score(walks).argmin()].numpy()
