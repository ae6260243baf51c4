"""`python main.py` is the command `bgpbt`, from a checkout."""

import sys

if __name__ == "__main__":
    try:
        from bgpbt.__main__ import start

        command = start()
    except ModuleNotFoundError as error:
        print(
            f"main.py: {error.name} is not installed here: run `make setup`, then "
            "`.venv/bin/python main.py`",
            file=sys.stderr,
        )
        sys.exit(2)
    command()
