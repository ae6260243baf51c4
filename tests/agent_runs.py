"""Settings of short runs of agents with tiny networks."""

from toy_runs import run_options

from bgpbt.config.options import Options

# Four members of other packages' environments, which learn in seconds.
FAMILY = {
    "pop_size": 4,
    "quantile_fraction": 0.25,
    "num_envs": 32,
    "policy_layers": (32, 32),
    "value_layers": (32, 32),
    "eval_episodes": 4,
}


def agent_options(folder, **changes) -> Options:
    """Five rounds of one update of 32 environments, of four members."""
    settings = {
        "episode_length": 100,
        "policy_layers": (8,),
        "value_layers": (8,),
        "eval_episodes": 2,
    }
    return run_options(folder, **(settings | changes))
