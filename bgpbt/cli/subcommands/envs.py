"""The environments: a list, a comparison of those named, or all of a single one."""

from bgpbt.cli.parser import SubParser
from bgpbt.cli.start import start_jax
from bgpbt.config import versions
from bgpbt.config.loading import load_options


def main(tokens: list[str]) -> int:
    """Prints them."""
    parser = SubParser("envs", __doc__)
    parser.add_argument("names", metavar="NAME", nargs="*")
    names = parser.parse_args(tokens).names
    options = [load_options({"env_name": name}) for name in names]
    versions.check()
    start_jax()
    from bgpbt.tasks.ppo.environments import (
        environment_names,
        metric_names,
        with_all_metrics,
    )
    from bgpbt.viz.environment_table import (
        environment_list,
        environment_page,
        environment_rows,
    )

    words = ("backend", "episode_length", "action_repeat")
    made = [
        (o.env_name, with_all_metrics(o.env_name, {w: getattr(o, w) for w in words}))
        for o in options
    ]
    match made:
        case []:
            lines = environment_list(environment_names())
        case [(name, env)]:
            lines = environment_page(name, env, metric_names(env))
        case _:
            lines = environment_rows(made)
    print("\n".join(lines))
    return 0
