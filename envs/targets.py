"""Robots that are after a target, on Brax: what fetch, ur5e and grasp share.

The target is a sphere without physics. It jumps to a new place in the step in which it
is reached, so an episode pays for reaching it often. A robot sees the world from one of
its own bodies.
"""

from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import jax
import jax.numpy as jnp
from brax import math
from brax.base import Motion, System, Transform
from brax.base import State as BraxState
from brax.envs.base import PipelineEnv, State
from brax.io import mjcf

Array = jax.Array
FOLDER = Path(__file__).parent


class RobotWithTarget(PipelineEnv):
    """A robot of `envs/<model>.xml`, whose body `target` is drawn and has no physics.

    A robot says where targets lie (`draw`), what a step pays (`rewards`) and what is
    seen (`observe`). States keep `target`, the place of shape `[3]`, and `key` in
    `info`. An episode never ends by itself.
    """

    metrics: tuple[str, ...]  # what `rewards` names; one is `hits`

    def __init__(self, model: str, *, backend: str, n_frames: int):
        """Loads the model.

        Args:
          model: name of the file, without its ending.
          backend: physics pipeline.
          n_frames: steps of physics in a step of the environment.
        """
        tree = ElementTree.parse(FOLDER / f"{model}.xml").getroot()
        # What is drawn: the bodies of the physics, and the target after them.
        self.picture = _load(tree)
        world = tree.find("worldbody")
        assert world is not None
        world.remove(next(b for b in world.iter("body") if b.get("name") == "target"))
        super().__init__(sys=_load(tree), backend=backend, n_frames=n_frames)

    @abstractmethod
    def draw(self, key: Array) -> Array:
        """A new target, shape `[3]`."""

    @abstractmethod
    def rewards(
        self, before: BraxState, now: BraxState, target: Array
    ) -> tuple[Array, dict[str, Array]]:
        """The reward of a step, and the metrics, of which `hits` is 0 or 1."""

    @abstractmethod
    def observe(self, now: BraxState, target: Array, hit: Array) -> Array:
        """What the robot sees, where `hit` says whether the step reached a target."""

    def controls(self, before: BraxState, action: Array) -> Array:
        """What the actuators get; the action itself where nothing else is said."""
        del before
        return action

    def reset(self, rng: Array) -> State:
        """Takes the first pose; the target is drawn."""
        key, key_target = jax.random.split(rng)
        start = self.pipeline_init(self.sys.init_q, jnp.zeros(self.sys.qd_size()))
        target, zero = self.draw(key_target), jnp.zeros(())
        return State(
            pipeline_state=start,
            obs=self.observe(start, target, zero),
            reward=zero,
            done=zero,
            metrics=dict.fromkeys(self.metrics, zero),
            info={"target": target, "key": key},
        )

    def step(self, state: State, action: Array) -> State:
        """Moves the robot; the target jumps where it is reached."""
        before, target = state.pipeline_state, state.info["target"]
        assert before is not None
        now = self.pipeline_step(before, self.controls(before, action))
        reward, metrics = self.rewards(before, now, target)
        hit = metrics["hits"]
        key, key_target = jax.random.split(state.info["key"])
        target = jnp.where(hit > 0, self.draw(key_target), target)
        return replace(
            state,
            pipeline_state=now,
            obs=self.observe(now, target, hit),
            reward=reward,
            metrics=metrics,
            info=state.info | {"target": target, "key": key},
        )

    def shown(self, pipeline_state: BraxState, info: dict) -> tuple[Array, Array]:
        """Where the bodies of `picture` are.

        Args:
          pipeline_state: Brax's.
          info: of the state.

        Returns:
          Positions `[L, 3]` and rotations `[L, 4]`.
        """
        x = pipeline_state.x.concatenate(_at(info["target"]))
        return x.pos, x.rot


def _load(tree: ElementTree.Element) -> System:
    return mjcf.loads(ElementTree.tostring(tree, encoding="unicode"))


def draw_target(
    key: Array, *, nearest: float, spread: float, low: float, high: float
) -> Array:
    """A place around the vertical axis through the origin. Shape `[3]`.

    Args:
      key: PRNG key.
      nearest: least distance from the axis, in metres.
      spread: how much larger the distance may be.
      low: least height.
      high: largest height.
    """
    distance, angle, height = jax.random.uniform(key, (3,))
    distance = nearest + spread * distance
    angle = 2 * jnp.pi * angle
    return jnp.stack(
        [
            distance * jnp.cos(angle),
            distance * jnp.sin(angle),
            low + (high - low) * height,
        ]
    )


def seen_from(x: Transform, xd: Motion, body: int, others: Array) -> Array:
    """All bodies, the ground and further places, from one body of the robot.

    Args:
      x: poses of the bodies in the world.
      xd: their velocities.
      body: index of the body that sees.
      others: further places, at rest. Shape `[K, 3]`.

    Returns:
      Its axes x and z in the world, then what `bodies_from` answers. Shape
      `[6 + 6 * (L + 1 + K)]`.
    """
    rotation = x.rot[body]
    return jnp.concatenate(
        [axis(rotation, 0), axis(rotation, 2), bodies_from(x, xd, body, others)]
    )


def bodies_from(x: Transform, xd: Motion, body: int, others: Array) -> Array:
    """Positions and velocities relative to those of a body, in its frame.

    Args:
      x: poses of the bodies in the world.
      xd: their velocities.
      body: index of the body that sees.
      others: further places, at rest. Shape `[K, 3]`.

    Returns:
      All positions, of the bodies, the ground and the places, then all velocities.
      Shape `[6 * (L + 1 + K)]`.
    """
    rotation = x.rot[body]
    still = jnp.concatenate([jnp.zeros((1, 3)), others])
    places = jnp.concatenate([x.pos, still]) - x.pos[body]
    speeds = jnp.concatenate([xd.vel, jnp.zeros_like(still)]) - xd.vel[body]
    turn = jax.vmap(math.inv_rotate, in_axes=(0, None))
    return jnp.concatenate(
        [turn(places, rotation).ravel(), turn(speeds, rotation).ravel()]
    )


def way_from(pose: Transform, place: Array) -> Array:
    """Distance to a place, and the direction of it in the frame of a body. Shape `[4]`.

    Args:
      pose: of the body.
      place: in the world, shape `[3]`.
    """
    direction, distance = towards(pose.pos, place)
    return jnp.concatenate([distance[None], math.inv_rotate(direction, pose.rot)])


def towards(start: Array, place: Array) -> tuple[Array, Array]:
    """The direction to a place, of length 1 and shape `[3]`, and the distance."""
    way = place - start
    distance = math.safe_norm(way)
    return way / (1e-6 + distance), distance


def axis(rotation: Array, number: int) -> Array:
    """An axis of a body in the world, shape `[3]`: 0 forward, 2 up."""
    return math.rotate(jnp.eye(3)[number], rotation)


def lowest_of_boxes(x: Transform, half: Array) -> Array:
    """The height of each box's lowest corner. Shape `[N]`.

    Args:
      x: poses of N boxes.
      half: half of their edges. Shape `[3]`.
    """
    turns = jax.vmap(math.quat_to_3x3)(x.rot)
    return x.pos[:, 2] - jnp.abs(turns[:, 2]) @ half


def _at(place: Array) -> Transform:
    return Transform.create(pos=place[None], rot=jnp.array([[1.0, 0.0, 0.0, 0.0]]))
