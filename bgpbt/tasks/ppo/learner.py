"""The learning half of PPO (Schulman et al., 2017): from transitions to new weights.

Every searched quantity is traced. `docs/design.md` says what differs from Brax's PPO
and why. Shapes: `K` as in `bgpbt.tasks.ppo.experience`, `[T G]` or `[G, T]`; `A` is the
size of an action.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from bgpbt.tasks.ppo import actor_critic, losses, minibatches
from bgpbt.tasks.ppo.actor_critic import BLOCKS
from bgpbt.tasks.ppo.distributions import DistributionKind
from bgpbt.tasks.ppo.experience import Batch
from bgpbt.tasks.ppo.networks import Networks
from bgpbt.types import Array, Hyperparams, Key, PyTree


class Learned(NamedTuple):
    """What learning changes."""

    params: PyTree  # by block
    opt_state: PyTree  # by block
    loss: Array  # [] of the latest minibatch


def loss(
    params: PyTree,
    opt_state: PyTree,
    batch: Batch,
    noise: Array,
    hyperparams: Hyperparams,
    networks: Networks,
    kind: DistributionKind,
) -> tuple[Array, PyTree]:
    """PPO's loss on (a piece of) a minibatch whose advantages are ready.

    Args:
      params: weights by block.
      opt_state: by block; holds the vectors of the power iteration.
      batch: leading axes K.
      noise: of the kind of distribution, for the entropy. Shape `[K, A]`.
      hyperparams: natural values by name.
      networks: static.
      kind: of the distribution over actions.

    Returns:
      The mean loss, and new vectors of the power iteration by block.
    """
    layers, power_vectors = networks.layers(params, opt_state, hyperparams)
    outputs = networks.policy_outputs(layers, batch.seen, hyperparams)
    dist = kind.from_outputs(outputs)
    policy_loss = losses.ppo_policy_loss(
        dist.log_prob(batch.raw_action),
        batch.log_prob,
        batch.advantage,
        hyperparams["clipping_epsilon"],
    )
    values = networks.value(layers, batch.seen, hyperparams)
    total = policy_loss + losses.value_loss(values, batch.target)
    total = total - hyperparams["entropy_cost"] * dist.entropy(noise)
    if not isinstance(batch.teacher, tuple):
        divergence = kind.from_outputs(batch.teacher).kl(dist)
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
    learned: Learned,
    batch: Batch,
    noise: Array,
    *,
    num_minibatches: Array,
    hyperparams: Hyperparams,
    normalize_advantage: bool,
    networks: Networks,
    kind: DistributionKind,
) -> Learned:
    """Walks once through a shuffled batch in pieces that make up the minibatches.

    `num_pieces` is static, `num_minibatches` is traced and divides it.
    """
    pieces_per_minibatch, advantages = minibatches.normalise_advantages(
        num_pieces, num_minibatches, batch.advantage.reshape(num_pieces, -1)
    )
    if normalize_advantage:
        batch = batch._replace(advantage=advantages.reshape(batch.advantage.shape))

    loss_of = partial(loss, hyperparams=hyperparams, networks=networks, kind=kind)
    train_on_piece = partial(
        _train_on_piece, pieces_per_minibatch, hyperparams["learning_rate"], loss_of
    )
    zeros = jax.tree.map(jnp.zeros_like, (learned.loss, learned.params))
    learned, _ = minibatches.sweep(
        num_pieces, train_on_piece, (learned, zeros), (batch, noise)
    )
    return learned


def _train_on_piece(
    pieces_per_minibatch: Array,
    learning_rate: Array,
    loss_of: Callable[..., tuple[Array, PyTree]],
    carry: tuple[Learned, PyTree],
    index: Array,
    piece: tuple[Batch, Array],
) -> tuple[Learned, PyTree]:
    """Adds a piece to the loss and gradients of its minibatch, and steps at its end."""
    learned, sums = carry
    loss_and_grads = jax.value_and_grad(loss_of, has_aux=True)
    (piece_loss, power_vectors), grads = loss_and_grads(
        learned.params, learned.opt_state, *piece
    )
    sums = jax.tree.map(
        lambda total, x: total + x / pieces_per_minibatch, sums, (piece_loss, grads)
    )
    is_full = (index + 1) % pieces_per_minibatch == 0
    mean_loss, mean_grads = sums  # of the minibatch, once it is full
    params, opt_state = optimise(
        learned.params,
        learned.opt_state,
        mean_grads,
        power_vectors,
        learning_rate,
    )
    learned = jax.tree.map(
        lambda new, old: jnp.where(is_full, new, old),
        Learned(params, opt_state, mean_loss),
        learned,
    )
    return learned, jax.tree.map(lambda x: jnp.where(is_full, 0, x), sums)


def learn(
    key: Key,
    params: PyTree,
    opt_state: PyTree,
    batch: Batch,
    hyperparams: Hyperparams,
    *,
    normalize_advantage: bool,
    networks: Networks,
    kind: DistributionKind,
    action_size: int,
) -> Learned:
    """Passes `num_update_epochs` times over a batch, each time in a random order.

    Order and noise are drawn before the split, the noise per transition. So the update
    does not depend on how the population is laid out on devices, nor on whether
    minibatches are accumulated from pieces.

    Args:
      key: PRNG key, consumed.
      params: weights by block.
      opt_state: by block.
      batch: leading axes K. Minibatches are parts of its first axis.
      hyperparams: natural values by name.
      normalize_advantage: over each minibatch, as Brax does.
      networks: static.
      kind: of the distribution over actions.
      action_size: A.
    """
    rows = len(batch.advantage)
    numbers = minibatches.numbers_for(rows)
    index = minibatches.nearest_index(
        batch.advantage.size,
        hyperparams["batch_size"],
        hyperparams["unroll_length"],
        numbers,
    )
    common_index = minibatches.common_index(index)
    train_epoch = partial(
        _train_epoch,
        num_minibatches=jnp.asarray(numbers)[index],
        hyperparams=hyperparams,
        normalize_advantage=normalize_advantage,
        networks=networks,
        kind=kind,
    )
    branches = [partial(train_epoch, number) for number in numbers]

    def epoch(i: Array, learned: Learned) -> Learned:
        key_order, key_noise = jax.random.split(jax.random.fold_in(key, i))
        order = jax.random.permutation(key_order, rows)
        noise = kind.noise(key_noise, (*batch.advantage.shape, action_size))
        shuffled = jax.tree.map(lambda x: x[order], batch)
        return jax.lax.switch(common_index, branches, learned, shuffled, noise)

    start = Learned(params, opt_state, jnp.zeros((), batch.advantage.dtype))
    return jax.lax.fori_loop(0, hyperparams["num_update_epochs"], epoch, start)
