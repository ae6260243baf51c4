"""The reported policy of a run on fresh episodes, without noise."""

from bgpbt.cli.parser import SubParser, reader
from bgpbt.cli.start import start_jax
from bgpbt.config.parsers import positive, seed


def main(tokens: list[str]) -> int:
    """Plays, prints means with their intervals."""
    parser = SubParser("eval", __doc__)
    parser.add_run()
    parser.add_argument(
        "--episodes", type=reader(positive), default=100, help="default 100"
    )
    parser.add_argument(
        "--seed", type=reader(seed), default=0, help="of the episodes, default 0"
    )
    args = parser.parse_args(tokens)
    start_jax()
    import bgpbt
    from bgpbt.execution.memory import out_of_memory
    from bgpbt.viz.formatting import counted
    from bgpbt.viz.trial_table import trial_table

    run = bgpbt.open_run(args.run_folder, run_files=args.run_files)
    with out_of_memory(lambda: "free some, or say JAX_PLATFORMS=cpu before"):
        trials = run.evaluate(args.episodes, args.seed)
    best = run.best
    whose = f"member {int(best['member'])} of round {int(best['round'])}"
    number = counted(args.episodes, "episode")
    print(f"{whose}: {number} without noise, seed {args.seed}")
    print("\n".join(trial_table(trials.gained, trials.steps)))
    return 0
