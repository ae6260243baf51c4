"""Records that nobody has trained."""


def row(round_: int, member: int, **changes) -> dict:
    """A row of the records of a run with two blocks and two dimensions."""
    words = {
        "round": round_,
        "member": member,
        "parent": member,
        "parent_value": member,
    }
    words |= {
        "phase": "training",
        "source": "previous",
        "generation": 0,
        "why": "start",
    }
    words |= {"fitness": 1.0, "timesteps": 10 * round_, "age": 10 * round_}
    return words | {"rate": 0.25, "layers": 2, "seconds": 1.5} | changes
