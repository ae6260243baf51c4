"""Distillation into a student of another architecture, on-policy: the student acts, the teacher says what it would do.

BG-PBT (Wan et al., 2022, Section 3.3): PPO's loss + alpha * 5 * KL(teacher || student) before tanh, mean over actions.
"""

import jax.numpy as jnp

from bgpbt.types import Array, Lesson

COST = 5.0  # of the divergence, beside PPO's loss
FIRST, LAST, ANNEALED = 1.0, 0.05, 0.8  # alpha falls linearly over this share of the distillation, then stays
HYPERPARAMS = {"learning_rate": 3e-4, "num_update_epochs": 4}  # of every student, whatever its configuration says


def alpha(trained: Array, length: Array) -> Array:
    """How much the teacher counts after `trained` of `length` steps: one schedule for the whole distillation. Shape `[]`."""
    return FIRST + (LAST - FIRST) * jnp.clip(trained / (ANNEALED * length), 0, 1)


def weight(lesson: Lesson, steps: Array) -> Array:
    """Weight of the divergence in a student's loss, `steps` into its round. Shape `[]`."""
    return COST * alpha(lesson.trained + steps, lesson.length)
