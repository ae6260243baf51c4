"""The learning half of PPO (Schulman et al., 2017): from a rollout to new weights, every searched quantity traced.

`docs/design.md` says what differs from Brax's PPO and why. Shapes: `T` decisions of a rollout, `G` environments,
`K = T * G` transitions, `O` and `A` sizes of observation and action.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from bgpbt import losses
from bgpbt.networks import mlp
from bgpbt.networks.mlp import MLP, Arch
from bgpbt.tasks import minibatches
from bgpbt.types import Array, Hyperparams, Key, PyTree

BLOCKS = ("policy", "value")
MLPs = dict[str, MLP]
_adam = optax.scale_by_adam()


class Experience(NamedTuple):
    """A rollout in the order of time."""

    obs: Array  # [T, G, O] as the environment gave them: a teacher normalises differently
    raw_action: Array  # [T, G, A] before tanh
    log_prob: Array  # [T, G] under the policy that acted
    reward: Array  # [T, G]
    terminated: Array  # [T, G] 0 or 1
    truncated: Array  # [T, G] 0 or 1
    last_obs: Array  # [G, O] after the last decision


class Batch(NamedTuple):
    """The same transitions, flat and ready to learn from."""

    obs: Array  # [K, O] normalised
    raw_action: Array  # [K, A]
    log_prob: Array  # [K]
    advantage: Array  # [K]
    target: Array  # [K] of the value
    teacher: losses.TanhNormal | tuple[()] = ()  # [K, A] what a teacher would have done, where there is one


def arch(block: str, h: Hyperparams) -> Arch:
    """The architecture of a block, out of all hyperparameters."""
    return Arch(h[f"{block}_depth"], h[f"{block}_width"], h[f"{block}_spectral_norm"])


def init(key: Key, mlps: MLPs, h: Hyperparams) -> tuple[PyTree, PyTree]:
    """Fresh weights and moments by block. The key is consumed."""
    params, moments = {}, {}
    for block, key_block in zip(BLOCKS, jax.random.split(key, len(BLOCKS)), strict=True):
        params[block], vectors = mlp.init(key_block, mlps[block], arch(block, h))
        moments[block] = {"adam": _adam.init(params[block]), "spectral": vectors}
    return params, moments


def layers_of(params: PyTree, moments: PyTree, h: Hyperparams) -> tuple[PyTree, PyTree]:
    """Layers ready to apply, and the turned vectors of the power iteration, both by block."""
    pairs = {b: mlp.normalise(params[b], moments[b]["spectral"], arch(b, h)) for b in BLOCKS}
    return {b: pair[0] for b, pair in pairs.items()}, {b: pair[1] for b, pair in pairs.items()}


def policy(layers: PyTree, obs: Array, h: Hyperparams) -> losses.TanhNormal:
    """The action distribution for normalised observations `[..., O]`."""
    return losses.tanh_normal(mlp.apply(layers["policy"], obs, arch("policy", h)))


def value(layers: PyTree, obs: Array, h: Hyperparams) -> Array:
    """The value of normalised observations. Shape `[...]`."""
    return mlp.apply(layers["value"], obs, arch("value", h))[..., 0]


def estimate(layers: PyTree, normalise: Callable[[Array], Array], experience: Experience, h: Hyperparams) -> Batch:
    """Advantages and targets of a rollout, whose trace is cut every `unroll_length` decisions."""
    length = len(experience.reward)
    obs = normalise(experience.obs)
    values = value(layers, jnp.concatenate([obs, normalise(experience.last_obs)[None]]), h)
    segment_end = jnp.arange(1, length + 1) % h["unroll_length"] == 0
    targets, advantages = losses.gae(
        experience.reward * h["reward_scaling"],
        values[:-1],
        values[-1],
        experience.terminated,
        experience.truncated,
        segment_end.astype(values.dtype),
        discounting=h["discounting"],
        gae_lambda=h["gae_lambda"],
    )
    batch = Batch(obs, experience.raw_action, experience.log_prob, advantages, targets)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch)


def loss(params: PyTree, moments: PyTree, batch: Batch, noise: Array, h: Hyperparams) -> tuple[Array, PyTree]:
    """PPO's loss on (a piece of) a minibatch whose advantages are ready.

    Args:
      params: weights by block.
      moments: hold the vectors of the power iteration.
      batch: transitions, leading axis K.
      noise: standard normal, for the entropy. Shape `[K, A]`.
      h: all hyperparameters.

    Returns:
      The mean loss, and the turned vectors by block.
    """
    layers, turned = layers_of(params, moments, h)
    dist = policy(layers, batch.obs, h)
    total = (
        losses.ppo_policy_loss(losses.log_prob(dist, batch.raw_action), batch.log_prob, batch.advantage, h["clipping_epsilon"])
        + losses.value_loss(value(layers, batch.obs, h), batch.target)
        - h["entropy_cost"] * losses.entropy(dist, noise)
    )
    if batch.teacher:
        total = total + h["distillation"] * losses.kl_before_tanh(batch.teacher, dist)
    return jnp.mean(total), turned


def optimise(params: PyTree, moments: PyTree, grads: PyTree, turned: PyTree, h: Hyperparams) -> tuple[PyTree, PyTree]:
    """One Adam step of every block (Kingma and Ba, 2015) at the member's learning rate."""
    new_params, new_moments = {}, {}
    for b in BLOCKS:
        direction, adam = _adam.update(grads[b], moments[b]["adam"])
        new_params[b] = jax.tree.map(lambda p, d: p - h["learning_rate"] * d, params[b], direction)
        new_moments[b] = {"adam": adam, "spectral": turned[b]}
    return new_params, new_moments


def _sweep(micro: int, count: Array, normalize: bool, carry, batch: Batch, noise: Array, h: Hyperparams):
    """One pass over shuffled transitions in `micro` pieces, of which `micro / count` make a minibatch."""
    group, advantages = minibatches.accumulated(micro, count, batch.advantage.reshape(micro, -1))
    if normalize:
        batch = batch._replace(advantage=advantages.reshape(-1))

    def step(carry, index, piece):
        params, moments, latest, total = carry
        (mean, turned), grads = jax.value_and_grad(loss, has_aux=True)(params, moments, *piece, h)
        total = jax.tree.map(lambda t, g: t + g / group, total, (mean, grads))
        full = (index + 1) % group == 0
        stepped = (*optimise(params, moments, total[1], turned, h), total[0])
        kept = jax.tree.map(lambda new, old: jnp.where(full, new, old), stepped, (params, moments, latest))
        return *kept, jax.tree.map(lambda t: jnp.where(full, 0, t), total)

    params, _, latest = carry
    zeros = jax.tree.map(jnp.zeros_like, (latest, params))
    return minibatches.sweep(micro, step, (*carry, zeros), (batch, noise))[:3]


def learn(
    key: Key, params: PyTree, moments: PyTree, batch: Batch, h: Hyperparams, *, normalize_advantage: bool
) -> tuple[PyTree, PyTree, Array]:
    """`num_update_epochs` passes over a batch, each in its own random order.

    Order and noise are drawn per transition before the split, so that every arrangement of the population, and
    accumulation in place of whole minibatches, computes the same update.

    Args:
      key: PRNG key, consumed.
      params: weights by block.
      moments: of the optimizer by block.
      batch: transitions, leading axis K.
      h: all hyperparameters.
      normalize_advantage: over each minibatch, as Brax does.

    Returns:
      Weights, moments, and the loss of the last minibatch.
    """
    transitions, actions = batch.raw_action.shape
    index = minibatches.rung(transitions, h["batch_size"], h["unroll_length"])
    common = minibatches.common_rung(index)
    count = jnp.asarray(minibatches.LADDER)[index]

    def pass_in(micro: int):
        return lambda carry, batch, noise: _sweep(micro, count, normalize_advantage, carry, batch, noise, h)

    branches = [pass_in(micro) for micro in minibatches.LADDER]

    def epoch(i, carry):
        key_order, key_noise = jax.random.split(jax.random.fold_in(key, i))
        order = jax.random.permutation(key_order, transitions)
        noise = jax.random.normal(key_noise, (transitions, actions))
        return jax.lax.switch(common, branches, carry, jax.tree.map(lambda x: x[order], batch), noise)

    return jax.lax.fori_loop(0, h["num_update_epochs"], epoch, (params, moments, jnp.zeros((), batch.obs.dtype)))
