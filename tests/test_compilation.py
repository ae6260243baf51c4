import sys

import jax
import jaxlib
import pytest

from bgpbt import compilation

SETTINGS = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """No variable of JAX, a cache folder of our own, and JAX's settings as they were afterwards."""
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
    assert compilation.enable(False) is None
    assert settings() == [str(compilation.default_folder()), 0.1]
    assert compilation.default_folder().is_dir() and compilation.default_folder().is_relative_to(tmp_path / "cache" / "bgpbt")
    assert list(compilation.default_folder().iterdir()) == []  # no probe is left


def test_the_folder_is_named_by_versions_and_processor(monkeypatch):
    here = compilation.default_folder()
    assert f"jax{jax.__version__}-jaxlib{jaxlib.__version__}-" in here.name
    monkeypatch.setattr(compilation, "cpu_features", lambda: "flags: other")
    other = compilation.default_folder()
    assert other != here and other.parent == here.parent
    monkeypatch.setattr(compilation.jaxlib, "__version__", "9.9.9")
    assert compilation.default_folder() != other


def test_without_a_cache_variable_it_is_in_the_home(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert compilation.default_folder().parent == tmp_path / ".cache" / "bgpbt"


def test_no_cache_changes_nothing():
    before = settings()
    assert compilation.enable(True) is None
    assert settings() == before and not compilation.default_folder().exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("JAX_COMPILATION_CACHE_DIR", "/elsewhere"), ("JAX_COMPILATION_CACHE_DIR", ""), ("JAX_ENABLE_COMPILATION_CACHE", "false")],
)
@pytest.mark.parametrize("no_cache", [False, True])
def test_jaxs_own_variables_win(monkeypatch, name, value, no_cache):
    monkeypatch.setenv(name, value)
    before = settings()
    assert compilation.enable(no_cache) is None
    assert settings() == before and not compilation.default_folder().exists()


def test_off_on_macos(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    before = settings()
    assert compilation.enable(False) is None
    assert settings() == before


def test_a_folder_that_cannot_be_used_is_a_notice(monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("a file in the way")
    before = settings()
    notice = compilation.enable(False)
    assert "cannot be used" in notice and str(tmp_path / "cache") in notice and len(notice.splitlines()) == 1
    assert settings() == before


def test_a_folder_that_cannot_be_written_is_a_notice(monkeypatch):
    def forbidden(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(compilation.Path, "touch", forbidden)
    before = settings()
    assert "Permission denied" in compilation.enable(False)
    assert settings() == before
