"""Which versions of Python and JAX are supported."""

import pytest

from bgpbt.config import versions
from bgpbt.config.errors import BadInput


@pytest.mark.parametrize("python", [(3, 11), (3, 12), (3, 13)])
@pytest.mark.parametrize(
    "jax_version",
    ["0.10.0", "0.10.2", "0.11.0", "0.11.1.dev20261001", "0.12.0.1", "0.12.99"],
)
def test_supported(python, jax_version):
    versions.check(python, jax_version)


def test_here():
    versions.check()


@pytest.mark.parametrize("python", [(3, 10), (3, 9), (2, 7), (3, 14), (4, 0)])
def test_other_pythons(python):
    version = rf"{python[0]}\.{python[1]}"
    message = rf"^Python {version} is not supported, use 3\.11 to 3\.13$"
    with pytest.raises(BadInput, match=message):
        versions.check(python, "0.10.2")


@pytest.mark.parametrize(
    "jax_version", ["0.9.2", "0.4.38", "0.13.0", "1.0.0", "0.100.0"]
)
def test_other_jaxes(jax_version):
    with pytest.raises(
        BadInput, match=r"is not supported, use 0\.10 to 0\.12"
    ) as caught:
        versions.check((3, 12), jax_version)
    assert jax_version in str(caught.value)


def test_no_jax(monkeypatch):
    def missing(name):
        raise versions.PackageNotFoundError(name)

    monkeypatch.setattr(versions, "version", missing)
    with pytest.raises(BadInput, match="JAX is not installed"):
        versions.check()
