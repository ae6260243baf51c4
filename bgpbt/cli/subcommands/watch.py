"""A run that another process trains: every round as it ends, and why who changed."""

import time

import pandas as pd

from bgpbt.cli.parser import SubParser, reader
from bgpbt.config.errors import BadInput
from bgpbt.config.parsers import positive

SECONDS = 1.0  # between two looks


def main(tokens: list[str]) -> int:
    """Prints a line a round, until the run ends or stops."""
    parser = SubParser("watch", __doc__)
    parser.add_run(files=False)
    parser.add_argument(
        "--last",
        type=reader(positive),
        default=5,
        metavar="N",
        help="rounds before now that are told first, default 5",
    )
    args = parser.parse_args(tokens)
    from bgpbt.storage.listing import state_of
    from bgpbt.storage.store import RunStore

    store = RunStore(args.run_folder)
    if not store.rounds():
        raise BadInput(f"{store.path} holds no run with a finished round")
    store.check_schema()
    told: int | None = None
    while True:
        # Its state first: what is told then is at least that.
        state = state_of(store, store.options())
        if told is None or store.rounds()[-1] > told:
            records, _ = store.records()
            told = _tell(store, records, told, args.last)
        if state != "running":
            print(f"{store.path}: {state}")
            return 0
        time.sleep(SECONDS)


def _tell(store, records: pd.DataFrame, told: int | None, last: int) -> int:
    """Prints the rounds behind `told`; returns the last of them."""
    from bgpbt.viz.formatting import counted
    from bgpbt.viz.story import story
    from bgpbt.viz.watching import changes_line, curve, round_line

    options = store.options()
    newest = int(records["round"].max())
    content = store.identity() or {}
    task = content.get("task", {})
    minimise = bool(task.get("minimise"))
    first = max(newest - last, 0) if told is None else told
    if told is None:
        members = counted(options.pop_size, "member")
        print(f"{store.path}: {options.run_label}, {members}")
    if newest > first:
        names = [dim["name"] for dim in content.get("space") or ()]
        known = [name for name in names if name in records]
        events = story(records, known, task.get("blocks") or ("",), first + 1)
        for round_ in range(first + 1, newest + 1):
            if phrases := events.get(round_):
                print(f"  {changes_line(phrases)}")
            print(round_line(records, round_, options.max_timesteps, minimise=minimise))
        print(f"  best of each round  {curve(records, minimise=minimise)}", flush=True)
    return newest
