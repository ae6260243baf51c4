"""The search space of what the flags ask for, and what could be added."""

from bgpbt.cli.parser import parse
from bgpbt.cli.start import start_jax
from bgpbt.config import versions
from bgpbt.config.loading import load_options


def main(tokens: list[str]) -> int:
    """Prints it."""
    values = parse(tokens)
    values.pop("dry_run", None)
    options = load_options(values, values.pop("config", None))
    versions.check()
    start_jax()
    from bgpbt import api
    from bgpbt.viz.space_table import fixed_table, space_table

    print("\n".join(space_table(api.make_task(options).space)))
    if options.fix:
        print("\n".join(["", *fixed_table(options.fix)]))
    unchanged = api.make_task(options.model_copy(update={"space": {}, "fix": {}}))
    named = {*options.space, *options.fix}
    left = {name: d for name, d in unchanged.offered.items() if name not in named}
    if left:
        print("\nnot searched unless --space names it:")
        print("\n".join(space_table(left)))
    return 0
