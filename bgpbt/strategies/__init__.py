"""How a population learns: one file a strategy, one line in `bgpbt.registry`."""
