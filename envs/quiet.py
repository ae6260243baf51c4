"""What Brax and MuJoCo say, and nobody can act on, is not shown.

Brax warns that its physics are no longer maintained, MJX prints that it found no Warp,
and MuJoCo logs what is deprecated in Brax's models into the working folder.
"""

import contextlib
import io
import sys
import warnings
from collections.abc import Generator

UNMAINTAINED = "Brax System, piplines and environments are not actively"


@contextlib.contextmanager
def quiet_brax() -> Generator[None]:
    """Imports Brax in silence, and keeps its models silent that are built inside.

    What else is printed or warned of inside is left alone.
    """
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        import brax.envs  # noqa: F401
        import mujoco
    # Without `catch_warnings`, which would also undo what a user's file filters.
    warnings.filterwarnings("ignore", UNMAINTAINED, UserWarning)
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(_tell)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)


def _tell(text: str) -> None:
    if "is deprecated" not in text:
        print(f"MuJoCo: {text}", file=sys.stderr)
