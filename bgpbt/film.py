"""A moving picture of a policy in its environment."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from bgpbt.environment import Env
from bgpbt.execution.cache import fast_compile_options
from bgpbt.tasks.ppo.episodes import Filmed, record_poses
from bgpbt.types import Policy
from bgpbt.viz import render

SECONDS = 8.0  # of simulated time
FRAMES_PER_SECOND = 20


class Film(NamedTuple):
    """An episode, or the first seconds of one."""

    filmed: Filmed
    seconds_per_frame: float


def film_episode(
    env: Env,
    policy: Policy,
    seed: int,
    frames_per_second: float = FRAMES_PER_SECOND,
    seconds: float | None = None,
) -> Film:
    """Records one episode; one that ends early starts again.

    Args:
      env: an environment with bodies.
      policy: what acts, without noise.
      seed: of the start state.
      frames_per_second: at most about so many.
      seconds: of simulated time at most; None: as long as an episode may be.
    """
    seconds_per_decision = env.seconds_per_step * env.action_repeat
    decisions = max(1, round(1 / frames_per_second / seconds_per_decision))
    seconds_per_frame = decisions * seconds_per_decision
    longest = env.episode_length * env.seconds_per_step
    frames = max(2, round(min(seconds or longest, longest) / seconds_per_frame))
    record = partial(
        record_poses,
        env=env,
        policy=policy,
        num_frames=frames,
        decisions_per_frame=decisions,
    )
    play = jax.jit(record, compiler_options=fast_compile_options())
    filmed = jax.tree.map(np.asarray, play(jax.random.PRNGKey(seed)))
    return Film(filmed, seconds_per_frame)


def save_film(env: Env, film: Film, path: Path) -> None:
    """Writes a film as a GIF.

    Args:
      env: what was filmed.
      film: of it.
      path: of the GIF.
    """
    pictures = render.render_frames(render.scene(env.system), *film.filmed.pose)
    render.save_gif(pictures, path, seconds_per_frame=film.seconds_per_frame)
