"""A run that goes on with another `max_timesteps` than it had."""

from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options


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


def describe_length(before: Options, now: Options) -> str:
    """What another length does to a run, in words.

    Only the rounds to come depend on it, unless they become shorter towards the end of
    the run, or generations begin only where they end in time.
    """
    words = f"max_timesteps was {before.max_timesteps:,} and is {now.max_timesteps:,}"
    shrinks = now.t_ready_end not in (None, now.t_ready)
    if shrinks or now.generations:
        what = "the lengths of its rounds" if shrinks else "its generations"
        return (
            f"{words}: the run goes on, but not as one that had it from the start, "
            f"because {what} follow from it"
        )
    return f"{words}: the run goes on, as one that had it from the start"
