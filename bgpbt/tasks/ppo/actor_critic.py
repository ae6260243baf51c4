"""The policy and value networks of a member, whose architectures are traced.

`O` and `A` are the sizes of an observation and of an action.
"""

import jax
import optax

from bgpbt.networks import mlp
from bgpbt.networks.mlp import MLP, Arch
from bgpbt.types import Array, Hyperparams, Key, PyTree

BLOCKS = ("policy", "value")
adam = optax.scale_by_adam()


def arch(block: str, hyperparams: Hyperparams) -> Arch:
    """The architecture of a block.

    Args:
      block: one of `BLOCKS`.
      hyperparams: natural values by name, architectures among them.
    """
    return Arch(
        hyperparams[f"{block}_depth"],
        hyperparams[f"{block}_width"],
        hyperparams[f"{block}_spectral_norm"],
        hyperparams.get("activation", mlp.SILU),
    )


def init(
    key: Key, networks: dict[str, MLP], hyperparams: Hyperparams
) -> tuple[PyTree, PyTree]:
    """Draws fresh weights.

    Args:
      key: PRNG key, consumed.
      networks: static sizes by block.
      hyperparams: natural values by name.

    Returns:
      Weights and optimizer state, both by block. The optimizer state of a block holds
      Adam's and the vectors of the power iteration.
    """
    params, opt_state = {}, {}
    keys = jax.random.split(key, len(BLOCKS))
    for block, key_block in zip(BLOCKS, keys, strict=True):
        params[block], vectors = mlp.init(
            key_block, networks[block], arch(block, hyperparams)
        )
        opt_state[block] = {"adam": adam.init(params[block]), "spectral": vectors}
    return params, opt_state


def normalised_layers(
    params: PyTree, opt_state: PyTree, hyperparams: Hyperparams
) -> tuple[PyTree, PyTree]:
    """Divides kernels by their spectral norms where the member asks for it.

    Args:
      params: weights by block.
      opt_state: optimizer state by block.
      hyperparams: natural values by name.

    Returns:
      Layers ready to apply, and new vectors of the power iteration, both by block.
    """
    layers, power_vectors = {}, {}
    for block in BLOCKS:
        layers[block], power_vectors[block] = mlp.normalise(
            params[block], opt_state[block]["spectral"], arch(block, hyperparams)
        )
    return layers, power_vectors


def policy_outputs(layers: PyTree, obs: Array, hyperparams: Hyperparams) -> Array:
    """What the policy network gives, of which a distribution over actions is made.

    Args:
      layers: of `normalised_layers`.
      obs: normalised observations. Shape `[..., O]`.
      hyperparams: natural values by name.

    Returns:
      The outputs. Shape `[..., 2 A]`, or `[..., A]` where actions are choices.
    """
    return mlp.apply(layers["policy"], obs, arch("policy", hyperparams))


def value(layers: PyTree, obs: Array, hyperparams: Hyperparams) -> Array:
    """The value of observations.

    Args:
      layers: of `normalised_layers`.
      obs: normalised observations. Shape `[..., O]`.
      hyperparams: natural values by name.

    Returns:
      The values. Shape `[...]`.
    """
    return mlp.apply(layers["value"], obs, arch("value", hyperparams))[..., 0]
