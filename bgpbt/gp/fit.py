"""Parameters by maximum a posteriori: L-BFGS (Liu and Nocedal, 1989) from several starts at once, bounded iterations.

The optimizer works on unconstrained values: logarithms of what is positive, logits of what lies in (0, 1). The priors are
normal in those; targets are ranks turned into a standard normal, so they need no units:

outputscale  median 1, factor 2                   noise        median 0.1, factor 4
lengthscale  median sqrt(D) / 2, factor 3 for     overlap      median 1, factor 2
             all together, factor 2 each apart    eps          median 0.1, mostly 0.02 to 0.4
mix          around 0.5

Lengthscales move together, or else one short lengthscale explains few noisy configurations, any one of them; that of the
last column, the context, stands alone. A long one is allowed: that is how a dimension is seen to be irrelevant.
"""

import math

import jax
import jax.numpy as jnp

from bgpbt.gp.descent import descend
from bgpbt.gp.kernels import Params
from bgpbt.gp.posterior import Data, log_marginal_likelihood

Array = jax.Array
STARTS = 6  # the last parameters, the prior's centre, short lengthscales, and draws from the prior
ITERATIONS = 20
LEAST_NOISE = 1e-6
TOGETHER, APART = math.log(3.0), math.log(2.0)  # standard deviations of ln lengthscale: all of them, each from the others


def prior(numeric: int, categories: int) -> tuple[Params, Params]:
    """Mean and standard deviation of every unconstrained parameter, lengthscales apart. `numeric` D, `categories` C."""
    ones, whole = jnp.ones(numeric), jnp.ones(categories)
    centre = Params(
        mean=jnp.zeros(()),
        outputscale=jnp.zeros(()),
        noise=jnp.asarray(math.log(0.1)),
        lengthscale=math.log(math.sqrt(max(numeric, 1)) / 2) * ones,
        overlap=0 * whole,
        mix=jnp.zeros(()),
        eps=jnp.asarray(math.log(0.1 / 0.9)),
    )
    spread = Params(
        mean=jnp.asarray(0.5),
        outputscale=jnp.asarray(math.log(2.0)),
        noise=jnp.asarray(math.log(4.0)),
        lengthscale=APART * ones,
        overlap=math.log(2.0) * whole,
        mix=jnp.asarray(1.0),
        eps=jnp.asarray(1.0),
    )
    return centre, spread


def natural(raw: Params) -> Params:
    """Unconstrained parameters in natural units."""
    return Params(
        mean=raw.mean,
        outputscale=jnp.exp(raw.outputscale),
        noise=LEAST_NOISE + jnp.exp(raw.noise),
        lengthscale=jnp.exp(raw.lengthscale),
        overlap=jnp.exp(raw.overlap),
        mix=jax.nn.sigmoid(raw.mix),
        eps=jax.nn.sigmoid(raw.eps),
    )


def shared(numeric: int) -> float:
    """What the lengthscales of D columns cost less where they move together, per squared sum of all but the last."""
    ratio = (TOGETHER / APART) ** 2
    return ratio / (1 + (numeric - 1) * ratio)  # Sherman and Morrison: the inverse of 1 + ratio 11'


def log_posterior(raw: Params, data: Data) -> Array:
    """What the fit maximises: the log marginal likelihood and the log prior, up to a constant. Shape `[]`, nats."""
    centre, spread = prior(numeric := data.points.x.shape[-1], data.points.h.shape[-1])
    away = jax.tree.map(lambda u, m, s: (u - m) / s, raw, centre, spread)
    squares = sum(jnp.sum(x**2) for x in away) - shared(numeric) * jnp.sum(away.lengthscale[:-1]) ** 2
    return log_marginal_likelihood(natural(raw), data) - 0.5 * squares


def starts(key: Array, warm: Params, number: int) -> Params:
    """The last parameters, the prior's centre, short lengthscales, and draws from the prior. Shape `[number, ...]`.

    The key is consumed. Noisy data have two explanations, a smooth function or a rough one: both are looked at.
    """
    centre, spread = prior(warm.lengthscale.shape[-1], warm.overlap.shape[-1])
    key_together, *keys = jax.random.split(key, len(warm) + 1)
    keys = jax.tree.unflatten(jax.tree.structure(warm), keys)
    draws = max(number - 3, 0)
    drawn = jax.tree.map(lambda k, m, s: m + s * jax.random.normal(k, (draws, *m.shape), m.dtype), keys, centre, spread)
    together = TOGETHER * jax.random.normal(key_together, (draws, 1), centre.mean.dtype)
    drawn = drawn._replace(lengthscale=drawn.lengthscale.at[:, :-1].add(together))
    short = centre._replace(lengthscale=centre.lengthscale - 1.5 * TOGETHER)
    return jax.tree.map(lambda w, m, s, d: jnp.concatenate([jnp.stack([w, m, s]), d])[:number], warm, centre, short, drawn)


def climb(raw: Params, data: Data, iterations: int) -> tuple[Params, Array]:
    """L-BFGS from one start. Returns the best parameters met and their log posterior."""
    raw, lowest = descend(lambda raw: -log_posterior(raw, data), raw, iterations)
    return raw, -lowest


def fit(
    key: Array, warm: Params, data: Data, *, number: int = STARTS, iterations: int = ITERATIONS
) -> tuple[Params, Array, Array]:
    """The most probable parameters.

    Args:
      key: PRNG key, consumed.
      warm: the last unconstrained parameters: the first start, and the answer where no start succeeds.
      data: the observations.
      number: starts.
      iterations: at most so many of L-BFGS from each.

    Returns:
      Unconstrained parameters, their log posterior `[]`, and whether the fit succeeded `[]`, bool.
    """
    # One after the other: each stops by itself, and XLA's CPU runtime hangs now and then in batched factorisations.
    found, values = jax.lax.map(lambda raw: climb(raw, data, iterations), starts(key, warm, number))
    finite = jax.vmap(lambda tree: jnp.stack([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]).all())(found)
    values = jnp.where(finite & jnp.isfinite(values), values, -jnp.inf)
    best = jnp.argmax(values)
    succeeded = values[best] > -jnp.inf
    raw = jax.tree.map(lambda new, old: jnp.where(succeeded, new[best], old), found, warm)
    return raw, values[best], succeeded
