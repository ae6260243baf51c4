"""What the tests of the training loop share."""

import pytest
from toy_runs import run_options
from toys import final_state, play, share

from bgpbt.result import Result


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, engines):
    """A whole run without incident, and its final state."""
    with pytest.MonkeyPatch.context() as patch:
        share(patch, engines)
        patch.setattr(Result, "draw", lambda self: [])
        result = play(run_options(tmp_path_factory.mktemp("unbroken")))
        return result, final_state(result)
