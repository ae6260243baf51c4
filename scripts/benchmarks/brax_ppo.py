"""Brax's own PPO, one agent, in a process of its own: `python -m scripts.benchmarks.brax_ppo SETTINGS_AS_JSON`.

`serve` compiles, says so, and then trains one stretch for every line on its standard input, so that several processes
can be started together and measured in turn with others. `finish` trains once, evaluates once, and prints the return.

Brax 0.14.2 calls `jax.device_put_replicated`, which JAX removed in 0.10: the shim below lives here and nowhere else.
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
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WARM = 2  # stretches: Brax compiles its training program twice
STRETCHES = 1000  # more than any benchmark asks for


def _replicate(tree, devices):
    """The removed `jax.device_put_replicated`: a leading axis over the devices."""
    import jax
    import jax.numpy as jnp

    return jax.tree.map(lambda x: jnp.stack([jnp.asarray(x)] * len(devices)), tree)


def _brax():
    """Brax's environments, trainer and networks, quietly, with the shim in place."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        import jax
        from brax import envs
        from brax.training.agents.ppo import networks, train
    jax.device_put_replicated = _replicate
    return envs, train, networks


def settings(options, **changes) -> dict:
    """The arguments of Brax's trainer with the transitions per optimizer step of our defaults at the full unroll."""
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


def _train(given: dict, **more):
    """Brax's trainer with our defaults for what `given` leaves open."""
    envs, train, networks = _brax()
    given = dict(given)
    env = envs.get_environment(given.pop("env_name"), backend=given.pop("backend"))
    factory = partial(
        networks.make_ppo_networks,
        policy_hidden_layer_sizes=tuple(given.pop("policy_layers")),
        value_hidden_layer_sizes=tuple(given.pop("value_layers")),
    )
    usual = {"learning_rate": 3e-4, "entropy_cost": 1e-2, "discounting": 0.97, "gae_lambda": 0.95, "clipping_epsilon": 0.2}
    usual |= {"reward_scaling": 10.0, "normalize_observations": True, "deterministic_eval": True}
    return train.train(env, network_factory=factory, **(usual | given | more))


def serve(given: dict, stretch: int) -> None:
    """Trains `stretch` steps for every line of input, without evaluation, until the input ends."""

    def progress(step, metrics):
        del metrics
        if step >= WARM * stretch:
            print(json.dumps({"steps": int(step)}), flush=True)
            if not sys.stdin.readline():
                sys.exit(0)

    _train(given, num_timesteps=STRETCHES * stretch, num_evals=STRETCHES + 1, run_evals=False, progress_fn=progress)


def finish(given: dict, num_timesteps: int) -> None:
    """Trains to the end with one evaluation there, Brax's default, and prints the return."""
    _, _, metrics = _train(given, num_timesteps=num_timesteps, num_evals=1)
    print(json.dumps({"episode_return": float(metrics["eval/episode_reward"])}), flush=True)


class Worker:
    """A `serve` process. `core`: the only core it may use, or None."""

    def __init__(self, given: dict, stretch: int, core: int | None = None):
        call = {"mode": "serve", "given": given, "stretch": stretch, "core": core}
        self.stretch = stretch
        self._process = subprocess.Popen(command(call), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def wait(self) -> None:
        """Until the stretch is done, the first time until everything is compiled."""
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
    return [sys.executable, "-W", "ignore", "-m", "scripts.benchmarks.brax_ppo", json.dumps(call)]


def main(call: dict) -> None:
    """Does what the call says."""
    if call.get("core") is not None:
        os.sched_setaffinity(0, {call["core"]})  # before JAX counts the cores
    if call["mode"] == "serve":
        serve(call["given"], call["stretch"])
    else:
        finish(call["given"], call["num_timesteps"])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
