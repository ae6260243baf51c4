"""Which versions are supported, checked before anything heavy is imported."""

import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from bgpbt.config.errors import BadInput

PYTHON = ((3, 11), (3, 13))
JAX = ((0, 10), (0, 12))


def _words(span: tuple[tuple[int, int], tuple[int, int]]) -> str:
    return " to ".join(".".join(map(str, end)) for end in span)


def check(
    python: tuple[int, int] | None = None, jax_version: str | None = None
) -> None:
    """Raises BadInput where Python or JAX is outside the supported range."""
    python = python or sys.version_info[:2]
    try:
        jax_version = jax_version or version("jax")
    except PackageNotFoundError:
        raise BadInput(
            "JAX is not installed: `make setup` installs what is needed"
        ) from None
    if not PYTHON[0] <= python <= PYTHON[1]:
        raise BadInput(
            f"Python {python[0]}.{python[1]} is not supported, use {_words(PYTHON)}"
        )
    major_minor = tuple(int(part) for part in jax_version.split(".")[:2])
    if not JAX[0] <= major_minor <= JAX[1]:
        raise BadInput(
            f"JAX {jax_version} is not supported, use {_words(JAX)}: "
            "pip install -r requirements_cpu.txt"
        )


def check_tensorboard() -> None:
    """Raises BadInput where what writes event files is not installed."""
    if find_spec("tensorboardX") is None:
        raise BadInput(
            "tensorboard: tensorboardX is not installed here: "
            "pip install 'tensorboardX>=2.6.5,<3'",
            "tensorboard",
        )
