"""Where a run lives, and whether it can be written there."""

import os
import shutil
import time
from pathlib import Path

from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.config.settings import base_name

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None

LEAST_SPACE = 50_000_000  # bytes
_LEAST_HANDLES = 64
_LEAST_TIME = 1_700_000_000  # seconds since 1970: November 2023


def run_folder(options: Options, seed: int) -> Path:
    """The folder of one seed.

    `save_dir/[exp_name/]env_backend_strategy_mode/seed_N`; environments without a
    choice of physics have no backend there, and other tasks are
    `task_problem_strategy_mode`.

    Raises:
      BadInput: `save_dir` begins with a user that does not exist.
    """
    words = [options.run_label]
    if options.task == "ppo" and options.has_backend:
        words.append(options.backend)
    words += [base_name(options.strategy), options.search_mode]
    name = "_".join(words)
    if options.freeze:
        name += f"_frozen_{options.freeze}"
    try:
        base = Path(options.save_dir).expanduser()
    except RuntimeError as error:
        raise BadInput(
            f"save_dir: {options.save_dir}: {error}, give another folder", "save_dir"
        ) from None
    parts = [options.exp_name] if options.exp_name else []
    return base.joinpath(*parts, name, f"seed_{seed}")


def check_writable(path: Path) -> None:
    """Raises BadInput where nothing can be written in a folder; changes nothing."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # the nearest folder above answers
    except (OSError, ValueError) as error:  # too long, a loop of links, a null byte
        why = getattr(error, "strerror", None) or error
        raise _refusal(f"{str(path)[:80]!r}: {why}, give another folder") from None
    broken = [
        p for p in (path, *path.parents) if os.path.islink(p) and not os.path.exists(p)
    ]
    if broken:
        raise _refusal(f"{broken[0]} is a link to nothing, give a folder")
    above = next(p for p in (path, *path.resolve().parents) if os.path.exists(p))
    if not above.is_dir():
        raise _refusal(f"{above} is a file, give a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise _refusal(f"no permission to write in {above}, give another folder")
    if shutil.disk_usage(above).free < LEAST_SPACE:
        raise _refusal(f"less than 50 MB are free in {above}, give another folder")


def check_readable(path: Path) -> None:
    """Raises BadInput where a folder that is there cannot be looked into."""
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        raise _refusal(f"no permission to look into {path}, give another -n")


def check_file(path: Path) -> None:
    """Raises BadInput where a file cannot be written; changes nothing."""
    folder = path.parent
    if path.is_dir():
        raise BadInput(f"{path} is a folder, give a file in it")
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder, give a file in one that is there")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"no permission to write in {folder}, give another folder")


def check_clock() -> None:
    """Raises BadInput where the clock cannot be right: TensorStore would abort."""
    if time.time() < _LEAST_TIME:
        now = time.strftime("%Y-%m-%d", time.gmtime())
        raise _refusal(f"the clock of this machine says {now}, set it")


def check_handles() -> None:
    """Raises BadInput where few files can be open at once: TensorStore needs some 20.

    What fails without them is in the middle of a save.
    """
    if resource is None:
        return
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= allowed < _LEAST_HANDLES:  # negative: as many as wanted
        raise _refusal(
            f"only {allowed} files can be open at once, at least {_LEAST_HANDLES} must "
            "be: say `ulimit -n 1024` before"
        )


def _refusal(problem: str) -> BadInput:
    return BadInput(f"save_dir: {problem}", "save_dir")
