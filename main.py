"""`python main.py` is the command `bgpbt`, from a checkout."""

import sys

try:
    from bgpbt.cli.command import run_command
except ModuleNotFoundError as error:
    print(
        f"main.py: {error.name} is not installed here: run `make setup`, then "
        "`.venv/bin/python main.py`",
        file=sys.stderr,
    )
    sys.exit(2)

if __name__ == "__main__":
    run_command()
