"""Where compiled programs are kept between runs, and what switches that off."""

import sys

import jax
import jaxlib
import pytest

from bgpbt.execution import cache

SETTINGS = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """No variable of JAX, a folder of our own; JAX's settings come back afterwards."""
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "platform", "linux")
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def settings() -> list:
    return [getattr(jax.config, name) for name in SETTINGS]


def test_the_cache_is_switched_on_in_the_users_folder(tmp_path):
    assert cache.enable(False) is None
    assert settings() == [str(cache.default_folder()), 0.1]
    folder = cache.default_folder()
    assert folder.is_dir() and folder.is_relative_to(tmp_path / "cache" / "bgpbt")
    assert list(folder.iterdir()) == []  # no probe is left


def test_the_folder_is_named_by_versions_and_processor(monkeypatch):
    this = cache.default_folder()
    assert f"jax{jax.__version__}-jaxlib{jaxlib.__version__}-" in this.name
    monkeypatch.setattr(cache, "cpu_features", lambda: "flags: other")
    other = cache.default_folder()
    assert other != this and other.parent == this.parent
    monkeypatch.setattr(cache.jaxlib, "__version__", "9.9.9")
    assert cache.default_folder() != other


def test_without_a_cache_variable_it_is_in_the_home(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.default_folder().parent == tmp_path / ".cache" / "bgpbt"


def test_no_cache_changes_nothing():
    before = settings()
    assert cache.enable(True) is None
    assert settings() == before and not cache.default_folder().exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JAX_COMPILATION_CACHE_DIR", "/elsewhere"),
        ("JAX_COMPILATION_CACHE_DIR", ""),
        ("JAX_ENABLE_COMPILATION_CACHE", "false"),
    ],
)
@pytest.mark.parametrize("no_cache", [False, True])
def test_jaxs_own_variables_win(monkeypatch, name, value, no_cache):
    monkeypatch.setenv(name, value)
    before = settings()
    assert cache.enable(no_cache) is None
    assert settings() == before and not cache.default_folder().exists()


def test_off_on_macos(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    before = settings()
    assert cache.enable(False) is None
    assert settings() == before


def test_a_folder_that_cannot_be_used_is_a_notice(monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("a file in the way")
    before = settings()
    notice = cache.enable(False)
    assert "cannot be used" in notice and str(tmp_path / "cache") in notice
    assert len(notice.splitlines()) == 1
    assert settings() == before


def test_a_folder_that_cannot_be_written_is_a_notice(monkeypatch):
    def forbidden(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache.Path, "touch", forbidden)
    before = settings()
    assert "Permission denied" in cache.enable(False)
    assert settings() == before
