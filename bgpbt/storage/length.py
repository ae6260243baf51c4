"""A run that goes on with another `max_timesteps` than it had."""

from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from bgpbt.config.lookup import resolve, settings_of
from bgpbt.config.options import Options
from bgpbt.config.parsers import user_file
from bgpbt.files import write
from bgpbt.registry import STRATEGIES
from bgpbt.storage import checkpoints
from bgpbt.storage.run_folder import OPTIONS, REPORT, RunFolder


def check_length(path: object, before: Options, now: Options, reached: int) -> None:
    """Refuses a length that the run has passed.

    Args:
      path: of the run, for the message.
      before: its settings.
      now: those it is to go on with.
      reached: timesteps of a member, of the last checkpoint.

    Raises:
      BadInput: more is done than is asked for now.
    """
    asked = now.max_timesteps
    if asked != before.max_timesteps and asked < reached:
        raise BadInput(
            f"max_timesteps: the run in {path} has done {reached:,}, give as many or "
            "more, another -n, or -exist overwrite",
            "max_timesteps",
        )


def change_length(folder: RunFolder, options: Options) -> list[str]:
    """Has a run end at another time; says so, in lines.

    Wherever a kill ends this, the next call goes on with it, or without it.

    Raises:
      OSError, NotSaved: the folder cannot be written.
    """
    before = folder.options()
    usable = folder.usable()
    if not usable or folder.finished(options):
        return []
    lines = []
    if options.max_timesteps != before.max_timesteps:
        report = folder.read_json(REPORT)
        if report is not None:
            kept = folder.path / f"report_{report['timesteps']}.json"
            (folder.path / REPORT).replace(kept)
        *earlier, last = usable
        # With either length, nobody decides what follows the round that ends the run.
        ends = min(before.max_timesteps, options.max_timesteps)
        decides_anew = folder.timesteps(last) >= ends
        if decides_anew and earlier:
            checkpoints.remove(folder.checkpoint(last))
        stays = last if decides_anew and not earlier else None
        lines = [describe_length(before, options, stays)]
    place = folder.path / OPTIONS
    there = load_options({}, place, with_usual=False)
    if there.max_timesteps != options.max_timesteps:
        saved = before.model_copy(update={"max_timesteps": options.max_timesteps})
        write(folder.path / OPTIONS, saved.to_yaml())
    return lines


def describe_length(before: Options, now: Options, stays: int | None = None) -> str:
    """What another length does to a run, in words.

    Only the rounds to come depend on it, unless they become shorter towards the end of
    the run, generations begin only where they end in time, or the strategy reckons with
    it. A file of the user's may do with it whatever it likes.

    Args:
      before: the settings that it had.
      now: those that it goes on with.
      stays: a round that should be decided anew, and cannot be.
    """
    words = (
        f"max_timesteps was {before.max_timesteps:,} and is {now.max_timesteps:,}: "
        "the run goes on"
    )
    reasons = []
    if now.method in STRATEGIES and "max_timesteps" in settings_of(
        resolve("strategy", now.method, STRATEGIES)
    ):
        reasons.append("what its strategy decides follows from it")
    if now.t_ready_end not in (None, now.t_ready):
        reasons.append("the lengths of its rounds follow from it")
    elif now.generations:
        reasons.append("its generations follow from it")
    if stays is not None:
        is_decided = before.max_timesteps > now.max_timesteps
        how = "decided already" if is_decided else "not decided"
        reasons.append(f"round {stays} is {how}, and no earlier checkpoint is there")
    if reasons:
        return (
            f"{words}, but not as one that had it from the start, "
            f"because {' and '.join(reasons)}"
        )
    own = [name for name in ("task", "strategy") if user_file(getattr(now, name))]
    unless = f", unless the file of {' or '.join(own)} depends on it" if own else ""
    return f"{words}, as one that had it from the start{unless}"
