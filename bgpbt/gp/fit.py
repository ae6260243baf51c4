"""Parameters by maximum a posteriori: L-BFGS from several starts, bounded iterations.

The optimizer (Liu and Nocedal, 1989) works on unconstrained values: logarithms of what
is positive, logits of what lies in (0, 1). The priors are normal in those; targets are
ranks turned into a standard normal, so they need no units:

outputscale       median 1, factor 2
noise             median 0.1, factor 4
lengthscale       median sqrt(D) / 2, factor 3 for all together, factor 2 each apart
category_weights  median 1, factor 2
mixture_weight    around 0.5
eps               median 0.1, mostly 0.02 to 0.4

Lengthscales move together, or else one short lengthscale explains few noisy
configurations, any one of them; that of the last column, the context, stands alone. A
long one is allowed: it says that a dimension is irrelevant.
"""

import math

import jax
import jax.numpy as jnp

from bgpbt.gp.descent import descend
from bgpbt.gp.kernels import Params
from bgpbt.gp.posterior import Data, log_marginal_likelihood
from bgpbt.types import Array, Key

STARTS = 6
ITERATIONS = 20
MIN_NOISE = 1e-6
# Standard deviations of ln lengthscale: what all have in common, and each by itself.
SHARED_STD = math.log(3.0)
OWN_STD = math.log(2.0)


def prior(numeric: int, categories: int) -> tuple[Params, Params]:
    """Mean and standard deviation of every unconstrained parameter.

    What the lengthscales have in common is not in their standard deviation.

    Args:
      numeric: number of numeric inputs D.
      categories: number of categories C.
    """
    ones_numeric = jnp.ones(numeric)
    ones_categories = jnp.ones(categories)
    mean = Params(
        mean=jnp.zeros(()),
        outputscale=jnp.zeros(()),
        noise=jnp.asarray(math.log(0.1)),
        lengthscale=math.log(math.sqrt(max(numeric, 1)) / 2) * ones_numeric,
        category_weights=0 * ones_categories,
        mixture_weight=jnp.zeros(()),
        eps=jnp.asarray(math.log(0.1 / 0.9)),
    )
    std = Params(
        mean=jnp.asarray(0.5),
        outputscale=jnp.asarray(math.log(2.0)),
        noise=jnp.asarray(math.log(4.0)),
        lengthscale=OWN_STD * ones_numeric,
        category_weights=math.log(2.0) * ones_categories,
        mixture_weight=jnp.asarray(1.0),
        eps=jnp.asarray(1.0),
    )
    return mean, std


def natural(raw: Params) -> Params:
    """Turns unconstrained parameters into natural units."""
    return Params(
        mean=raw.mean,
        outputscale=jnp.exp(raw.outputscale),
        noise=MIN_NOISE + jnp.exp(raw.noise),
        lengthscale=jnp.exp(raw.lengthscale),
        category_weights=jnp.exp(raw.category_weights),
        mixture_weight=jax.nn.sigmoid(raw.mixture_weight),
        eps=jax.nn.sigmoid(raw.eps),
    )


def shared_scale(numeric: int) -> float:
    """How much less the lengthscales cost in the log prior where they move together.

    Args:
      numeric: number of numeric inputs D.

    Returns:
      The factor of the squared sum of all standardised lengthscales but the last.
    """
    ratio = (SHARED_STD / OWN_STD) ** 2
    # Sherman and Morrison: the inverse of 1 + ratio 11'.
    return ratio / (1 + (numeric - 1) * ratio)


def log_posterior(raw: Params, data: Data) -> Array:
    """What the fit maximises: log marginal likelihood and log prior, up to a constant.

    Args:
      raw: unconstrained parameters.
      data: the observations.

    Returns:
      Shape `[]`, nats.
    """
    numeric = data.points.numeric.shape[-1]
    mean, std = prior(numeric, data.points.categories.shape[-1])
    standardised = jax.tree.map(lambda u, m, s: (u - m) / s, raw, mean, std)
    squares = (
        sum(jnp.sum(x**2) for x in standardised)
        - shared_scale(numeric) * jnp.sum(standardised.lengthscale[:-1]) ** 2
    )
    return log_marginal_likelihood(natural(raw), data) - 0.5 * squares


def with_short_lengthscales(mean: Params) -> Params:
    """The prior's mean, but for a function that is rougher than expected."""
    return mean._replace(lengthscale=mean.lengthscale - 1.5 * SHARED_STD)


def starts(key: Key, warm: Params, number: int) -> Params:
    """Where the fit starts.

    Noisy data have two explanations, a smooth function or a rough one: the starts
    include both.

    Args:
      key: PRNG key, consumed.
      warm: the last unconstrained parameters.
      number: of starts.

    Returns:
      The last parameters, the prior's mean, short lengthscales, and draws from the
      prior. Leading shape `[number]`.
    """
    mean, std = prior(warm.lengthscale.shape[-1], warm.category_weights.shape[-1])
    key_shared, *keys = jax.random.split(key, len(warm) + 1)
    keys = jax.tree.unflatten(jax.tree.structure(warm), keys)
    draws = max(number - 3, 0)
    drawn = jax.tree.map(
        lambda k, m, s: m + s * jax.random.normal(k, (draws, *m.shape), m.dtype),
        keys,
        mean,
        std,
    )
    shared = SHARED_STD * jax.random.normal(key_shared, (draws, 1), mean.mean.dtype)
    drawn = drawn._replace(lengthscale=drawn.lengthscale.at[:, :-1].add(shared))
    short = with_short_lengthscales(mean)
    return jax.tree.map(
        lambda w, m, s, d: jnp.concatenate([jnp.stack([w, m, s]), d])[:number],
        warm,
        mean,
        short,
        drawn,
    )


def maximise(raw: Params, data: Data, iterations: int) -> tuple[Params, Array]:
    """Climbs the log posterior from one start by L-BFGS.

    Args:
      raw: unconstrained parameters to start from.
      data: the observations.
      iterations: most steps.

    Returns:
      Unconstrained parameters and their log posterior, `[]`.
    """
    raw, lowest = descend(lambda raw: -log_posterior(raw, data), raw, iterations)
    return raw, -lowest


def fit(
    key: Key,
    warm: Params,
    data: Data,
    *,
    number: int = STARTS,
    iterations: int = ITERATIONS,
) -> tuple[Params, Array, Array]:
    """The most probable parameters.

    Args:
      key: PRNG key, consumed.
      warm: the last unconstrained parameters. They are the first start, and the result
        where no start succeeds.
      data: the observations.
      number: of starts.
      iterations: most steps of L-BFGS from each.

    Returns:
      Unconstrained parameters, their log posterior `[]`, and whether the fit succeeded
      `[]`, bool.
    """
    # One start after the other: each stops by itself, and XLA's CPU runtime hangs now
    # and then in batched factorisations.
    optima, values = jax.lax.map(
        lambda raw: maximise(raw, data, iterations), starts(key, warm, number)
    )
    finite = jax.vmap(
        lambda tree: jnp.stack(
            [jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(tree)]
        ).all()
    )(optima)
    values = jnp.where(finite & jnp.isfinite(values), values, -jnp.inf)
    best = jnp.argmax(values)
    succeeded = values[best] > -jnp.inf
    raw = jax.tree.map(
        lambda new, old: jnp.where(succeeded, new[best], old), optima, warm
    )
    return raw, values[best], succeeded
