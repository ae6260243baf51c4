"""The learning half of PPO (Schulman et al., 2017): from transitions to new weights.

Every searched quantity is traced. `docs/design.md` says what differs from Brax's PPO
and why. Shapes: `K` transitions of a rollout; `A` is the size of an action.
"""

from functools import partial

import jax
import jax.numpy as jnp

from bgpbt.tasks.ppo import actor_critic, distribution, losses, minibatches
from bgpbt.tasks.ppo.actor_critic import BLOCKS
from bgpbt.tasks.ppo.batch import Batch
from bgpbt.types import Array, Hyperparams, Key, PyTree


def loss(
    params: PyTree,
    opt_state: PyTree,
    batch: Batch,
    noise: Array,
    hyperparams: Hyperparams,
) -> tuple[Array, PyTree]:
    """PPO's loss on (a piece of) a minibatch whose advantages are ready.

    Args:
      params: weights by block.
      opt_state: by block; holds the vectors of the power iteration.
      batch: transitions, leading axis K.
      noise: standard normal, for the entropy. Shape `[K, A]`.
      hyperparams: natural values by name.

    Returns:
      The mean loss, and new vectors of the power iteration by block.
    """
    layers, power_vectors = actor_critic.normalised_layers(
        params, opt_state, hyperparams
    )
    dist = actor_critic.policy(layers, batch.obs, hyperparams)
    policy_loss = losses.ppo_policy_loss(
        distribution.log_prob(dist, batch.raw_action),
        batch.log_prob,
        batch.advantage,
        hyperparams["clipping_epsilon"],
    )
    values = actor_critic.value(layers, batch.obs, hyperparams)
    total = policy_loss + losses.value_loss(values, batch.target)
    total = total - hyperparams["entropy_cost"] * distribution.entropy(dist, noise)
    if batch.teacher:
        divergence = distribution.kl_before_tanh(batch.teacher, dist)
        total = total + hyperparams["distillation"] * divergence
    return jnp.mean(total), power_vectors


def optimise(
    params: PyTree,
    opt_state: PyTree,
    grads: PyTree,
    power_vectors: PyTree,
    learning_rate: Array,
) -> tuple[PyTree, PyTree]:
    """Takes one step of Adam (Kingma and Ba, 2015) in every block.

    Args:
      params: weights by block.
      opt_state: by block.
      grads: of the loss, by block.
      power_vectors: of the power iteration, by block; they go into `opt_state`.
      learning_rate: the member's. Shape `[]`.

    Returns:
      Weights and optimizer state.
    """
    new_params, new_opt_state = {}, {}
    for block in BLOCKS:
        direction, adam = actor_critic.adam.update(
            grads[block], opt_state[block]["adam"]
        )
        new_params[block] = jax.tree.map(
            lambda p, d: p - learning_rate * d, params[block], direction
        )
        new_opt_state[block] = {"adam": adam, "spectral": power_vectors[block]}
    return new_params, new_opt_state


def _train_epoch(
    num_pieces: int,
    carry: tuple[PyTree, PyTree, Array],
    batch: Batch,
    noise: Array,
    *,
    num_minibatches: Array,
    hyperparams: Hyperparams,
    normalize_advantage: bool,
) -> tuple[PyTree, PyTree, Array]:
    """Walks once through shuffled transitions in pieces that make up the minibatches.

    `num_pieces` is static, `num_minibatches` is traced and divides it. The carry holds
    weights, optimizer state and the loss of the latest minibatch.
    """
    group, advantages = minibatches.normalise_advantages(
        num_pieces, num_minibatches, batch.advantage.reshape(num_pieces, -1)
    )
    if normalize_advantage:
        batch = batch._replace(advantage=advantages.reshape(-1))

    def step(carry: tuple, index: Array, piece: tuple[Batch, Array]) -> tuple:
        *before, total = carry
        params, opt_state, _ = before
        (mean, power_vectors), grads = jax.value_and_grad(loss, has_aux=True)(
            params, opt_state, *piece, hyperparams
        )
        total = jax.tree.map(lambda t, g: t + g / group, total, (mean, grads))
        full = (index + 1) % group == 0
        stepped = optimise(
            params, opt_state, total[1], power_vectors, hyperparams["learning_rate"]
        )
        after = jax.tree.map(
            lambda new, old: jnp.where(full, new, old),
            (*stepped, total[0]),
            tuple(before),
        )
        return *after, jax.tree.map(lambda t: jnp.where(full, 0, t), total)

    params, _, latest = carry
    zeros = jax.tree.map(jnp.zeros_like, (latest, params))
    return minibatches.sweep(num_pieces, step, (*carry, zeros), (batch, noise))[:3]


def learn(
    key: Key,
    params: PyTree,
    opt_state: PyTree,
    batch: Batch,
    hyperparams: Hyperparams,
    *,
    normalize_advantage: bool,
) -> tuple[PyTree, PyTree, Array]:
    """Passes `num_update_epochs` times over a batch, each time in a random order.

    Order and noise are drawn per transition before the split. So the update does not
    depend on how the population is laid out on devices, nor on whether minibatches are
    accumulated from pieces.

    Args:
      key: PRNG key, consumed.
      params: weights by block.
      opt_state: by block.
      batch: transitions, leading axis K.
      hyperparams: natural values by name.
      normalize_advantage: over each minibatch, as Brax does.

    Returns:
      Weights, optimizer state, and the loss of the last minibatch.
    """
    transitions, action_size = batch.raw_action.shape
    index = minibatches.nearest_index(
        transitions, hyperparams["batch_size"], hyperparams["unroll_length"]
    )
    common_index = minibatches.common_index(index)
    train_epoch = partial(
        _train_epoch,
        num_minibatches=jnp.asarray(minibatches.NUM_MINIBATCHES)[index],
        hyperparams=hyperparams,
        normalize_advantage=normalize_advantage,
    )
    branches = [partial(train_epoch, number) for number in minibatches.NUM_MINIBATCHES]

    def epoch(i: Array, carry: tuple) -> tuple:
        key_order, key_noise = jax.random.split(jax.random.fold_in(key, i))
        order = jax.random.permutation(key_order, transitions)
        noise = jax.random.normal(key_noise, (transitions, action_size))
        shuffled = jax.tree.map(lambda x: x[order], batch)
        return jax.lax.switch(common_index, branches, carry, shuffled, noise)

    carry = (params, opt_state, jnp.zeros((), batch.obs.dtype))
    return jax.lax.fori_loop(0, hyperparams["num_update_epochs"], epoch, carry)
