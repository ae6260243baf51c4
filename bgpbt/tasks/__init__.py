"""What members are and learn: a folder a kind of task, a line in `bgpbt.registry`."""
