"""Settings of short runs of agents with tiny networks."""

from toy_runs import run_options

from bgpbt.config.options import Options


def agent_options(folder, **changes) -> Options:
    """Five rounds of one update of 32 environments, of four members."""
    settings = {
        "episode_length": 100,
        "policy_layers": (8,),
        "value_layers": (8,),
        "eval_episodes": 2,
    }
    return run_options(folder, **(settings | changes))
