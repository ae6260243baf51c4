"""Which returns can be ranked."""

import numpy as np

from bgpbt.training.evaluation import returns_valid


def test_which_returns_make_a_fitness():
    """In training some may be missing, where no episode ended.

    An infinite one is a failure in any case.
    """
    nan, inf = np.nan, np.inf
    returns = np.array([[1, 2], [nan, 2], [nan, nan], [inf, 2], [-inf, 2]])
    all_needed = [True, False, False, False, False]
    assert returns_valid(returns).tolist() == all_needed
    one_needed = [True, True, False, False, False]
    assert returns_valid(returns, allow_missing=True).tolist() == one_needed
