"""The search over architectures follows its data."""

import jax
import numpy as np
import pytest

from bgpbt import space as spaces
from bgpbt.gp.architectures import all_architectures, make_architecture_search
from bgpbt.tasks.ppo.spaces import architecture_space


@pytest.mark.long
def test_the_search_prefers_what_its_data_favour():
    """On the real space: whatever has a wide policy did well, or badly."""
    space = architecture_space()
    rng = np.random.default_rng(0)
    config = all_architectures(space)[rng.choice(1600, 24, replace=False)]
    wide = np.asarray(spaces.decode(space, config)["policy_width"])
    propose = make_architecture_search(space)
    for sign in (1, -1):
        score = sign * np.log2(wide) + rng.normal(0, 0.3, 24)
        proposed = propose(jax.random.PRNGKey(0), config, score, 6)
        widths = np.asarray(spaces.decode(space, proposed)["policy_width"])
        assert (widths == (256 if sign == 1 else 32)).sum() >= 5
