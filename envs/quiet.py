"""What Brax and MuJoCo say while a user's file is loaded, and nobody can act on.

Brax warns that its physics are no longer maintained, MJX prints that it found no Warp,
and MuJoCo logs what is deprecated in Brax's models into the working folder. What the
user's file prints or warns of itself is left alone.
"""

import contextlib
import io
import sys
import warnings
from collections.abc import Callable, Generator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

PACKAGES = ("brax", "mujoco")
UNMAINTAINED = "Brax System, piplines and environments are not actively"


@contextlib.contextmanager
def quiet_packages() -> Generator[None]:
    """Imports of Brax and MuJoCo print nothing, nor do Brax's models."""
    # Without `catch_warnings`, which would also undo what the user's file filters.
    warnings.filterwarnings("ignore", UNMAINTAINED, UserWarning)
    with contextlib.ExitStack() as stack:
        if "mujoco" in sys.modules:
            stack.enter_context(_quiet_mujoco())
        finder = _Finder(lambda: stack.enter_context(_quiet_mujoco()))
        sys.meta_path.insert(0, finder)
        stack.callback(sys.meta_path.remove, finder)
        yield


class _Finder(MetaPathFinder):
    """Finds modules of `PACKAGES` where they are, and imports them in silence.

    It calls `when_there` once MuJoCo has been imported.
    """

    def __init__(self, when_there: Callable[[], None]):
        self.when_there = when_there

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in PACKAGES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def run_in_silence(module: ModuleType) -> None:
            with contextlib.redirect_stdout(io.StringIO()):
                run(module)
            if fullname == "mujoco":
                self.when_there()

        spec.loader.exec_module = run_in_silence
        return spec


@contextlib.contextmanager
def _quiet_mujoco() -> Generator[None]:
    """What is deprecated in a model is not told; other warnings go to stderr."""
    import mujoco

    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(_tell)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)


def _tell(text: str) -> None:
    if "is deprecated" not in text:
        print(f"MuJoCo: {text}", file=sys.stderr)
