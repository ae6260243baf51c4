"""Strategies by name. A new one is one file and one line here.

Each function takes (space, blocks) and, as keyword-only arguments, the settings it wants. Nothing is imported here, so that
a wrong name is answered at once.
"""

STRATEGIES = {
    "pbt": "bgpbt.strategies.pbt:pbt",
    "bgpbt": "bgpbt.strategies.bgpbt:bgpbt",
    "pb2": "bgpbt.strategies.pb2:pb2",
    "mfpbt": "bgpbt.strategies.mfpbt:mfpbt",
    "pbtnas": "bgpbt.strategies.pbtnas:pbtnas",
    "mutation": "bgpbt.strategies.mutation:mutation",
    "sha": "bgpbt.strategies.sha:sha",
    "random": "bgpbt.strategies.random_search:random_search",
}
GENERATIONAL = ("pbt", "bgpbt")  # whose populations hand their networks on to the next generation (-sm both, nas)
