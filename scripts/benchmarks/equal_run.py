"""A whole run through the Python API whose members all have the configuration that Brax is given.

`python -m scripts.benchmarks.equal_run CALL_AS_JSON`
"""

import json
import sys

import main as command_line
from scripts.benchmarks.cases import FULL_UNROLL, small_options, variant


def main(call: dict) -> None:
    """Trains with frozen defaults, of which the unroll length is the full one."""
    quick = call["quick"]
    options = small_options(
        quick,
        strategy="pbt",
        freeze="default",
        max_timesteps=call["timesteps"],
        save_dir=call["save_dir"],
        render=False,
    )
    command_line.prepare_jax(options)
    import bgpbt
    from bgpbt.tasks.ppo import hyperparameter_space

    space = hyperparameter_space(options.num_envs)
    space |= {name: space[name]._replace(default=value) for name, value in FULL_UNROLL.items()}
    bgpbt.run(options, task=variant(options, space=space))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
