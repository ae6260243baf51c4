"""The notebooks run from top to bottom on fresh runs and show their pictures.

They run in their own folder, as Jupyter does, where bgpbt is not installed.
"""

import os
from pathlib import Path

import nbformat
import pytest
from designer_runs import options, write_rewards
from nbclient import NotebookClient

import bgpbt
from bgpbt.tasks.ppo import minibatches

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A finished run.

    Numbers of minibatches are few: their branches are most of what is compiled.
    """
    options = bgpbt.Options(
        env_name="inverted_pendulum",
        num_envs=32,
        pop_size=2,
        quantile_fraction=0.5,
        policy_layers="32",
        value_layers="32",
        t_ready=480,
        max_timesteps=960,
        episode_length=100,
        eval_episodes=2,
        report_episodes=4,
        render=False,
        save_dir=str(tmp_path_factory.mktemp("runs")),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minibatches, "NUM_MINIBATCHES", (2, 8))
        return bgpbt.run(options).path


def shown_by(name: str) -> list[tuple[str, str]]:
    """Kind and content of what the cells of a notebook show, once it has run."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    # Outputs are stripped in the repository.
    assert all(not cell.get("outputs") for cell in notebook.cells)
    NotebookClient(
        notebook, timeout=180, resources={"metadata": {"path": str(NOTEBOOKS)}}
    ).execute()
    return [
        item
        for cell in notebook.cells
        for out in cell.get("outputs", [])
        for item in out.get("data", {}).items()
    ]


@pytest.mark.long
def test_notebook_shows_curve_schedule_and_policy(run_folder, monkeypatch):
    monkeypatch.setenv("BGPBT_RUN", str(run_folder))
    kinds = [kind for kind, _ in shown_by("render_policy.ipynb")]
    assert kinds.count("image/png") == 2
    assert kinds.count("image/gif") == 1
    assert (run_folder / "policy.gif").stat().st_size > 10_000


@pytest.mark.long
def test_notebook_compares_designers(tmp_path, monkeypatch):
    rewards = write_rewards(tmp_path / "rewards.npz")
    folders = [
        bgpbt.run(options(rewards, tmp_path / agent, alg_name=agent)).path
        for agent in ("uniform", "meta_a2c")
    ]
    monkeypatch.setenv("BGPBT_RUNS", os.pathsep.join(map(str, folders)))
    shown = shown_by("designers.ipynb")
    kinds = [kind for kind, _ in shown]
    # Two of the run, the comparison, and the actions of each agent.
    assert kinds.count("image/png") == 5
    (table,) = [content for kind, content in shown if kind == "text/html"]
    assert table.count("<tr>") <= 10 and "uniform" in table and "made_up" in table
    assert "conv3 conv3 conv3" in table  # worth most
