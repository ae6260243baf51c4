"""Whether a run folder's task is the one at hand: what `run.json` says, compared.

The settings are compared in `taking.check`. What is compared here may differ all the
same where a file of the user's, or bgpbt itself, has changed since the run began.
"""

from typing import Any, NoReturn

from bgpbt.config.errors import BadInput
from bgpbt.storage.provenance import describe_member, describe_space
from bgpbt.storage.run_folder import RunFolder
from bgpbt.types import Task


def check_same_task(store: RunFolder, task: Task, advice: str) -> None:
    """Whether a run has this search space, direction and kind of member.

    A folder without a finished round, or that does not say, has nothing to compare.

    Args:
      store: the folder.
      task: that its numbers and weights must belong to.
      advice: what to do where they do not.

    Raises:
      BadInput: they do not; says where they differ first.
    """
    saved = store.identity()
    if saved is None or not store.rounds():
        return
    minimises = _minimises(saved)
    if problem := _other_space(saved.get("space"), describe_space(task.space)):
        _refuse(store, f"of another search space ({problem})", advice)
    if minimises != task.minimise:
        there, here = (
            "minimises" if x else "maximises" for x in (minimises, task.minimise)
        )
        _refuse(store, f"that {there}, the task here {here}", advice)
    member = saved.get("member")  # only where a file of the user's may change it
    differ = "" if member is None else _other_member(member, describe_member(task))
    if differ:
        _refuse(store, f"of other members ({differ})", advice)


def with_recorded_direction(store: RunFolder, task: Task) -> Task:
    """The task with the direction of the run's records.

    Its file may have changed its mind, the records do not.
    """
    saved = store.identity()
    return task if saved is None else task._replace(minimise=_minimises(saved))


def changed_files(store: RunFolder, hashes: dict[str, str]) -> list[str]:
    """Which of the user's files are not what they were, a line for each.

    Args:
      store: the folder.
      hashes: SHA-256 by setting, as `run.json` holds them.
    """
    saved = (store.identity() or {}).get("files", {})
    return [
        f"the file of {setting} has changed since the run began: "
        "the run goes on with what it says now"
        for setting, digest in saved.items()
        if setting in hashes and hashes[setting] != digest
    ]


def _minimises(saved: dict[str, Any]) -> bool:
    """Whether smaller fitness is better; runs that do not say are older than that."""
    return saved.get("task", {}).get("minimise", False)


def _other_space(
    saved: list[dict[str, Any]] | None, space: list[dict[str, Any]]
) -> str:
    """Where two search spaces differ first, "" where they do not."""
    if saved is None:
        return ""
    names, before = ([dim["name"] for dim in dims] for dims in (space, saved))
    if names != before:
        return f"{', '.join(before)} there, {', '.join(names)} here"
    differ = (
        f"{now['name']}: {field} {was[field]} there, {now.get(field)} here"
        for now, was in zip(space, saved, strict=True)
        for field in was
        if was[field] != now.get(field)
    )
    return next(differ, "")


def _other_member(saved: dict[str, str], member: dict[str, str]) -> str:
    """Where arrays or actions of two kinds of member differ first, "" where not."""
    pairs = (
        (name, saved.get(name, "nothing"), member.get(name, "nothing"))
        for name in [*saved, *member]
    )
    differ = (
        f"{name}: {was} there, {now} here" for name, was, now in pairs if was != now
    )
    return next(differ, "")


def _refuse(store: RunFolder, problem: str, advice: str) -> NoReturn:
    raise BadInput(f"{store.path} holds a run {problem}; {advice}", "existing_policy")
