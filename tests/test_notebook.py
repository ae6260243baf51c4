"""The notebook runs from top to bottom on a fresh run and shows its pictures.

It runs in its own folder, as Jupyter does, where bgpbt is not installed.
"""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import bgpbt
from bgpbt.tasks.ppo import minibatches

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "render_policy.ipynb"


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


@pytest.mark.long
def test_notebook_shows_curve_schedule_and_policy(run_folder, monkeypatch):
    monkeypatch.setenv("BGPBT_RUN", str(run_folder))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    # Outputs are stripped in the repository.
    assert all(not cell.get("outputs") for cell in notebook.cells)
    NotebookClient(
        notebook,
        timeout=180,
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
    ).execute()
    shown = [
        kind
        for cell in notebook.cells
        for out in cell.get("outputs", [])
        for kind in out.get("data", {})
    ]
    assert shown.count("image/png") == 2
    assert shown.count("image/gif") == 1
    assert (run_folder / "policy.gif").stat().st_size > 10_000
