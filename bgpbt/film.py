"""A moving picture of a policy in its environment."""

from functools import partial
from pathlib import Path

import jax

from bgpbt.environment import Env
from bgpbt.execution.cache import fast_compile_options
from bgpbt.tasks.ppo.episodes import record_poses
from bgpbt.types import Policy
from bgpbt.viz import render

SECONDS = 8.0  # of simulated time
FRAMES_PER_SECOND = 20


def film_policy(env: Env, policy: Policy, seed: int, path: Path) -> None:
    """Writes one episode as a GIF.

    Args:
      env: an environment with bodies.
      policy: what acts, without noise.
      seed: of the start state.
      path: of the GIF.
    """
    seconds_per_decision = env.seconds_per_step * env.action_repeat
    decisions = max(1, round(1 / FRAMES_PER_SECOND / seconds_per_decision))
    seconds_per_frame = decisions * seconds_per_decision
    seconds = min(SECONDS, env.episode_length * env.seconds_per_step)
    frames = max(2, round(seconds / seconds_per_frame))
    record = partial(
        record_poses,
        env=env,
        policy=policy,
        num_frames=frames,
        decisions_per_frame=decisions,
    )
    play = jax.jit(record, compiler_options=fast_compile_options())
    position, rotation = play(jax.random.PRNGKey(seed))
    pictures = render.render_frames(render.scene(env.system), position, rotation)
    render.save_gif(pictures, path, seconds_per_frame=seconds_per_frame)
