"""L-BFGS (Liu and Nocedal, 1989) as one loop of bounded length."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from bgpbt.types import Array, PyTree

TOLERANCE = 1e-3  # stops where no partial derivative is larger


def descend(
    cost: Callable[[PyTree], Array], start: PyTree, iterations: int
) -> tuple[PyTree, Array]:
    """Minimises `cost` from one start.

    Args:
      cost: differentiable; a tree like `start` to a value `[]`.
      start: tree of float arrays.
      iterations: most steps.

    Returns:
      Where it ended, a tree like `start`, and the cost there, `[]`.
    """
    solver = optax.lbfgs(
        memory_size=10,
        linesearch=optax.scale_by_zoom_linesearch(max_linesearch_steps=8),
    )
    value_and_grad = optax.value_and_grad_from_state(cost)

    def should_continue(carry):
        _, _, number, not_converged = carry
        return (number < iterations) & not_converged

    def step(carry):
        params, state, number, _ = carry
        value, gradient = value_and_grad(params, state=state)
        updates, state = solver.update(
            gradient, state, params, value=value, grad=gradient, value_fn=cost
        )
        params = optax.apply_updates(params, updates)
        slope = optax.tree.norm(optax.tree.get(state, "grad"), ord=jnp.inf)
        return params, state, number + 1, slope > TOLERANCE

    carry = (start, solver.init(start), jnp.zeros((), jnp.int32), jnp.array(True))
    params, _, _, _ = jax.lax.while_loop(should_continue, step, carry)
    return params, cost(params)
