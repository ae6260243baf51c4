"""`python -m bgpbt` is the command `bgpbt`."""

from bgpbt.cli.command import run_command

run_command()
