"""One process at a time works in a run folder."""

import subprocess
import sys

import pytest
from stored_runs import IDENTITY, refusal

from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.storage.taking import check, take

HOLDER = """
import sys, time
from bgpbt.config.options import Options
from bgpbt.storage.store import RunStore
from bgpbt.storage.taking import take
take(RunStore(sys.argv[1]), Options(num_envs=64), {})
print("mine", flush=True)
time.sleep(60)
"""


def test_one_process_at_a_time(stored_run):
    """Its end, however it came, frees the run."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(stored_run.path)],
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "mine\n"
        for policy in ("resume", "overwrite"):
            assert "another process is at work" in refusal(
                stored_run, Options(num_envs=64, existing_policy=policy)
            )
            # Begun between our check and our start.
            with pytest.raises(BadInput, match="another process"):
                take(stored_run, Options(num_envs=64, existing_policy=policy), IDENTITY)
        assert (stored_run.path / "records.csv").exists()
        other.kill()
    check(stored_run, Options(num_envs=64))
