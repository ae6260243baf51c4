"""What the user called."""

import sys
from pathlib import Path


def program() -> str:
    """`bgpbt` where it is installed, else `main.py`."""
    installed = Path(sys.argv[0]).name in ("bgpbt", "__main__.py")
    return "bgpbt" if installed else "main.py"
