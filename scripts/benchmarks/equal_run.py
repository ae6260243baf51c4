"""A whole run through the Python API whose members all have Brax's configuration.

`python -m scripts.benchmarks.equal_run CALL_AS_JSON`
"""

import json
import sys

from bgpbt.cli.command import prepare_jax
from scripts.benchmarks.cases import FULL_UNROLL, small_options, variant


def main(call: dict) -> None:
    """Trains with frozen defaults, of which the unroll length is the full one."""
    options = small_options(
        call["quick"],
        strategy="pbt",
        freeze="default",
        max_timesteps=call["timesteps"],
        save_dir=call["save_dir"],
        render=False,
    )
    prepare_jax(options)
    import bgpbt
    from bgpbt.tasks.ppo.spaces import hyperparameter_space

    space = hyperparameter_space(options.num_envs)
    for name, value in FULL_UNROLL.items():
        space[name] = space[name]._replace(default=value)
    bgpbt.run(options, task=variant(options, space=space))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
