"""A policy as plain arrays: what `bgpbt.numpy_policy` reads."""

import numpy as np

from bgpbt.networks.mlp import ACTIVATIONS
from bgpbt.tasks.ppo import actor_critic
from bgpbt.tasks.ppo.normalizer import LIMIT, scale_of
from bgpbt.tasks.ppo.settings import PPOSettings
from bgpbt.types import Hyperparams, PyTree, TrainState

FORMAT = "bgpbt policy 1"


def policy_arrays(
    settings: PPOSettings, state: TrainState, layers: PyTree, hyperparams: Hyperparams
) -> dict[str, np.ndarray]:
    """A member's policy without padding, and without what only noise needs.

    Args:
      settings: what is static.
      state: the member.
      layers: of `Networks.layers`, ready to apply.
      hyperparams: natural values by name, all of them.

    Returns:
      `observation_mean` and `observation_scale` `[O]`, `observation_limit`;
      `activation`; `actions`, "numbers" or "choices"; `layers`, their number, and
      `kernel_I` `[I, O]` and `bias_I` `[O]` of each; with a memory `lstm_seen`
      `[O, 4 H]`, `lstm_bias` `[4 H]` and `lstm_before` `[H, 4 H]`, whose gates are
      input, forget, output, new. Layers give the mode's arctanh, or logits.
    """
    arch = actor_critic.arch("policy", hyperparams)
    own = layers["policy"]
    arrays: dict[str, np.ndarray] = {}
    if settings.networks.memory_units:
        lstm = own["lstm"]["params"]
        arrays["lstm_seen"] = np.asarray(lstm["seen"]["kernel"])
        arrays["lstm_bias"] = np.asarray(lstm["seen"]["bias"])
        arrays["lstm_before"] = np.asarray(lstm["before"]["kernel"])
        own = own["layers"]
    depth, width = int(arch.depth), int(arch.width)
    actions = settings.env.action_size  # the scales behind them are for noise
    used = [*own[:depth], own[-1]]
    for index, layer in enumerate(used):
        rows = slice(None) if index == 0 else slice(width)
        columns = slice(actions if index == depth else width)
        arrays[f"kernel_{index}"] = np.asarray(layer["kernel"])[rows, columns]
        arrays[f"bias_{index}"] = np.asarray(layer["bias"])[columns]
    return arrays | {
        "format": np.array(FORMAT),
        "observation_mean": np.asarray(state.statistics.mean),
        "observation_scale": np.asarray(scale_of(state.statistics)),
        "observation_limit": np.array(LIMIT, np.float32),
        "activation": np.array(tuple(ACTIVATIONS)[int(arch.activation)]),
        "actions": np.array("choices" if settings.env.discrete else "numbers"),
        "layers": np.array(len(used)),
    }
