"""Brax's own PPO, one agent, in a process of its own.

`python -m scripts.benchmarks.brax_ppo SETTINGS_AS_JSON`

`serve` compiles, says so, and then trains one stretch for every line on its standard
input, so that several processes can be started together and measured in turn with
others. `finish` trains once, evaluates once, and prints the return.

Brax 0.14.2 calls `jax.device_put_replicated`, which JAX removed in 0.10: the shim below
lives here and nowhere else.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
import warnings
from functools import partial
from typing import TYPE_CHECKING

from scripts.benchmarks.commands import PYTHON, ROOT

if TYPE_CHECKING:
    from bgpbt.config.options import Options

WARM = 2  # stretches: Brax compiles its training program twice
STRETCHES = 1000  # more than any benchmark asks for
# Our defaults.
USUAL = {
    "learning_rate": 3e-4,
    "entropy_cost": 1e-2,
    "discounting": 0.97,
    "gae_lambda": 0.95,
    "clipping_epsilon": 0.2,
    "reward_scaling": 10.0,
    "normalize_observations": True,
    "deterministic_eval": True,
}


def _replicate(tree, devices):
    """The removed `jax.device_put_replicated`: a leading axis over the devices."""
    import jax
    import jax.numpy as jnp

    return jax.tree.map(lambda x: jnp.stack([jnp.asarray(x)] * len(devices)), tree)


def _brax():
    """Brax's trainer and networks, quietly, with the shim in place."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        import jax
        from brax.training.agents.ppo import networks
        from brax.training.agents.ppo import train as trainer
    jax.device_put_replicated = _replicate
    return trainer, networks


def settings(options: "Options", **changes) -> dict:
    """The arguments of Brax's trainer, as JSON can hold them.

    An optimizer step has as many transitions as with our defaults at the full unroll.

    Args:
      options: environment and networks.
      **changes: other values of arguments.
    """
    return {
        "env_name": options.env_name,
        "backend": options.backend,
        "policy_layers": list(options.policy_layers),
        "value_layers": list(options.value_layers),
        "num_envs": options.num_envs,
        "batch_size": options.num_envs // 2,
        "num_minibatches": 2,
        "num_updates_per_batch": 4,
        "unroll_length": 15,
        "episode_length": options.episode_length,
        "action_repeat": options.action_repeat,
    } | changes


def train(arguments: dict, **more):
    """Brax's trainer, with our defaults for what `arguments` leaves open.

    Args:
      arguments: from `settings`.
      **more: further arguments of the trainer.

    Returns:
      What makes a policy of weights, the weights, and the metrics of the end.
    """
    from bgpbt.tasks.ppo.environments import load_environment_file

    trainer, networks = _brax()
    rest = dict(arguments)
    env = load_environment_file("brax").load(rest.pop("env_name"), rest.pop("backend"))
    factory = partial(
        networks.make_ppo_networks,
        policy_hidden_layer_sizes=tuple(rest.pop("policy_layers")),
        value_hidden_layer_sizes=tuple(rest.pop("value_layers")),
    )
    return trainer.train(env, network_factory=factory, **(USUAL | rest | more))


def serve(arguments: dict, stretch: int) -> None:
    """Trains `stretch` steps for every line of input, until the input ends.

    Nothing is evaluated.
    """

    def progress(step, metrics):
        del metrics
        if step >= WARM * stretch:
            print(json.dumps({"steps": int(step)}), flush=True)
            if not sys.stdin.readline():
                sys.exit(0)

    train(
        arguments,
        num_timesteps=STRETCHES * stretch,
        num_evals=STRETCHES + 1,
        run_evals=False,
        progress_fn=progress,
    )


def finish(arguments: dict, num_timesteps: int) -> None:
    """Trains to the end with one evaluation there, and prints the return.

    One evaluation is Brax's default.
    """
    _, _, metrics = train(arguments, num_timesteps=num_timesteps, num_evals=1)
    episode_return = float(metrics["eval/episode_reward"])
    print(json.dumps({"episode_return": episode_return}), flush=True)


class Worker:
    """A `serve` process."""

    def __init__(self, arguments: dict, stretch: int, core: int | None = None):
        """Starts the process.

        Args:
          arguments: from `settings`.
          stretch: steps that it trains at a time.
          core: the only core that it may use; None: any.
        """
        call = {"mode": "serve", "settings": arguments, "stretch": stretch}
        self.stretch = stretch
        self._process = subprocess.Popen(
            command(call | {"core": core}),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait(self) -> None:
        """Waits for the end of the stretch, the first time for all compilation."""
        for line in self._process.stdout:
            if line.startswith("{"):
                return
        raise RuntimeError(f"Brax's process ended with code {self._process.wait()}")

    def go(self) -> None:
        """Starts a stretch."""
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def together(workers: list[Worker]) -> float:
    """Steps per second of all workers at once."""
    began = time.monotonic()
    for worker in workers:
        worker.go()
    for worker in workers:
        worker.wait()
    return sum(worker.stretch for worker in workers) / (time.monotonic() - began)


def command(call: dict) -> list[str]:
    """The command of a process."""
    return [*PYTHON, "-m", "scripts.benchmarks.brax_ppo", json.dumps(call)]


def main(call: dict) -> None:
    """Does what the call says."""
    if call.get("core") is not None:
        os.sched_setaffinity(0, {call["core"]})  # before JAX counts the cores
    if call["mode"] == "serve":
        serve(call["settings"], call["stretch"])
    else:
        finish(call["settings"], call["num_timesteps"])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
