"""A family of environments whose package is not installed."""

import sys

import pytest

from bgpbt.cli.command import main
from bgpbt.config.errors import BadInput
from bgpbt.tasks.ppo.environments import environment_names, make_environment

EXTRAS = {"gymnax": ("gymnax", "CartPole-v1"), "playground": ("mujoco_playground", "X")}


@pytest.mark.parametrize("family", EXTRAS)
def test_the_command_that_installs_it_is_named(monkeypatch, capsys, family):
    module, name = EXTRAS[family]
    monkeypatch.setitem(sys.modules, module, None)  # its import fails
    command = rf"pip install '\.\[{family}\]'"
    with pytest.raises(BadInput, match=f"env_name: {family}:{name} needs .*{command}"):
        make_environment(f"{family}:{name}")
    assert environment_names()[family] == ()
    assert main(["envs"]) == 0
    assert f"pip install '.[{family}]'" in capsys.readouterr().out
