"""What the command does beside a run: a file each, with a `main` of its own.

`main(tokens)` gets what stands behind its name, and returns the exit code.
"""

_NAMES = {
    "envs": "envs",
    "eval": "evaluate",
    "export": "export",
    "render": "render",
    "report": "report",
    "runs": "runs",
    "space": "space",
    "watch": "watch",
}
SUBCOMMANDS = {name: f"{__name__}.{file}" for name, file in _NAMES.items()}
