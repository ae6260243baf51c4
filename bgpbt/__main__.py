"""`bgpbt` and `python -m bgpbt`: the command."""

from bgpbt.cli.signals import listen


def main() -> None:
    """Does what argv says, and ends the process."""
    listen()  # before the imports that take half a second
    from bgpbt.cli.command import run_command

    run_command()


if __name__ == "__main__":
    main()
