"""A kill at any step of opening, saving, resuming: nothing complete is lost."""

import itertools
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from stored_runs import IDENTITY, assert_records, restore, rows, state
from toys import Killed, same_bits

from bgpbt.config.options import Options
from bgpbt.storage.store import RunStore
from bgpbt.storage.taking import check, take

CHANGES = {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir"}


class Kill:
    """Ends the main thread before its n-th change of a file below a folder."""

    def __init__(self):
        self.folder = ""
        self.left = 0
        sys.addaudithook(self.hook)  # which stays for ever, and sleeps

    def hook(self, event: str, args: tuple) -> None:
        if not self.folder or event not in CHANGES:
            return
        if threading.current_thread() is not threading.main_thread():
            return
        path, mode = str(args[0]), args[1] if len(args) > 1 else None
        # `shutil.rmtree` names what it removes without its folder.
        below = path.startswith(self.folder) or not path.startswith("/")
        writes = event != "open" or (isinstance(mode, str) and mode[:1] in "wax")
        if below and writes:
            self.left -= 1
            if self.left < 0:
                self.folder = ""
                raise Killed

    def at(self, number: int, folder: Path, act: Callable[[], object]) -> bool:
        """Acts; whether it was killed on the way."""
        self.folder, self.left = str(folder), number
        try:
            act()
        except Killed:
            return True
        finally:
            self.folder = ""
        return False


@pytest.fixture(scope="module")
def kill() -> Kill:
    return Kill()


def killed_everywhere(
    kill: Kill, run: Path, tmp_path: Path, act: Callable[[RunStore], object]
):
    """The folder after kills at many places in `act`; at last, after none.

    At the first dozen, one after the other, then at every fifth: most of those remove
    the many files of a checkpoint.
    """
    for number in itertools.chain(range(12), itertools.count(12, 5)):
        path = shutil.copytree(run, tmp_path / f"at_{number}")
        killed = kill.at(number, path, lambda path=path: act(RunStore(path)))
        yield RunStore(path)
        if not killed:
            return


def test_a_save_that_is_killed_leaves_the_round_before_or_its_own(
    kill, four_rounds, tmp_path
):
    reached = set()

    def save(store):
        store.save(state(4), rows(4), {})

    for store in killed_everywhere(kill, four_rounds, tmp_path, save):
        restored, said = restore(store)
        last = int(restored.progress.round)
        assert same_bits(restored, state(last)) and said == []
        assert_records(store, range(last + 1))
        store.save(state(last + 1), rows(last + 1), {})
        assert_records(store, range(last + 2))
        reached.add(last)
    assert reached == {3, 4}


def test_a_resume_that_is_killed_can_be_repeated(kill, four_rounds, tmp_path):
    """Of a run with a damaged checkpoint, damaged records and a lost file."""
    run = shutil.copytree(four_rounds, tmp_path / "damaged")
    (run / "checkpoints" / "round_000003" / "rows.csv").write_text("")
    (run / "run.json").unlink()
    records = run / "records.csv"
    records.write_text(records.read_text().replace("\n0,0", "\nx,0"))

    def resume(store):
        take(store, Options(num_envs=64), IDENTITY)
        restore(store)

    for store in killed_everywhere(kill, run, tmp_path, resume):
        check(store, Options(num_envs=64))
        take(store, Options(num_envs=64), IDENTITY)
        assert store.identity() == IDENTITY
        assert same_bits(restore(store)[0], state(2))
        _, said = store.records()
        assert said == [
            "records.csv lacks 1 row: figures and lineages are without them"
        ]


OTHER = Options(num_envs=32)


def test_an_overwrite_that_is_killed_goes_on_either_way(kill, four_rounds, tmp_path):
    """Again as an overwrite, and as the new run's own command that resumes."""
    overwrite = OTHER.model_copy(update={"existing_policy": "overwrite"})

    def begin(store):
        take(store, overwrite, IDENTITY | {"id": "b2"})

    begun = 0
    for store in killed_everywhere(kill, four_rounds, tmp_path, begin):
        if store.rounds():  # nothing was removed yet
            check(store, Options(num_envs=64))
            assert same_bits(restore(store)[0], state(3))
            continue
        again = RunStore(shutil.copytree(store.path, f"{store.path}_again"))
        for folder, options in ((store, OTHER), (again, overwrite)):
            check(folder, options)
            take(folder, options, IDENTITY | {"id": "c3"})
            assert folder.options() == OTHER
            folder.save(state(0), rows(0), {})
            assert_records(folder, [0])
            names = {path.name for path in folder.path.iterdir()}
            own = {".lock", "checkpoints", "options.yaml", "records.csv", "run.json"}
            assert names == own
        begun += 1
    assert begun > 3
