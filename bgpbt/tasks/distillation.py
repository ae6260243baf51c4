"""On-policy distillation into a student of another architecture.

The student acts, and the teacher says what it would have done. BG-PBT (Wan et al.,
2022, Section 3.3): PPO's loss + alpha * 5 * KL(teacher || student) before tanh, mean
over actions.
"""

import jax.numpy as jnp

from bgpbt.types import Array, Distillation

KL_COST = 5.0  # of the divergence, beside PPO's loss
# Alpha falls linearly over the annealed share of the distillation, then stays.
ALPHA_START = 1.0
ALPHA_END = 0.05
ANNEALED_SHARE = 0.8
# Of every student, whatever its configuration says.
HYPERPARAMS = {"learning_rate": 3e-4, "num_update_epochs": 4}


def alpha(steps_done: Array, steps_total: Array) -> Array:
    """How much the teacher counts: one schedule for the whole distillation.

    Args:
      steps_done: of the distillation. Shape `[]`.
      steps_total: of the whole distillation. Shape `[]`.

    Returns:
      Shape `[]`.
    """
    progress = jnp.clip(steps_done / (ANNEALED_SHARE * steps_total), 0, 1)
    return ALPHA_START + (ALPHA_END - ALPHA_START) * progress


def weight(teaching: Distillation, steps: Array) -> Array:
    """Weight of the divergence in a student's loss.

    Args:
      teaching: what the student learns from.
      steps: into its round. Shape `[]`.

    Returns:
      Shape `[]`.
    """
    return KL_COST * alpha(teaching.steps_done + steps, teaching.steps_total)
