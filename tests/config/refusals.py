"""What Options refuses, for the tests of this folder."""

import pytest

from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options


def refusal_of(**values) -> BadInput:
    """The error that these settings raise, after checking that it is one line."""
    with pytest.raises(BadInput) as caught:
        Options(**values)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value
