"""Figures of what agents that design networks did, from made-up records."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

from bgpbt.viz.designer_comparison import compare_actions, compare_designers
from bgpbt.viz.designers import designers
from bgpbt.viz.figures import DrawnRun
from bgpbt.viz.layer_colours import colour_of
from bgpbt.viz.style import WINNER

ACTIONS = ("conv1", "conv3", "max2", "terminal")
PANELS = ["fitness", "best_reward", "episode_length", "entropy"]


def make_records(members=3, rounds=4) -> pd.DataFrame:
    """Member 0 is the best one of the last round; round 0 is like no other."""
    random = np.random.default_rng(0)
    rows = []
    for round_ in range(rounds + 1):
        shares = random.dirichlet(np.ones(len(ACTIONS)), members)
        rows.append(
            pd.DataFrame(
                {
                    "round": round_,
                    "generation": 0,
                    "phase": "training",
                    "member": range(members),
                    "parent": range(members),
                    "timesteps": 100 * round_,
                    "fitness": round_ - np.arange(members) if round_ else 99.0,
                    "best_reward": random.random(members),
                    "episode_length": random.uniform(1, 5, members),
                    "entropy": random.uniform(0, np.log(4), members),
                    **{f"share_{x}": shares[:, i] for i, x in enumerate(ACTIONS)},
                }
            )
        )
    return pd.concat(rows)


def drawn(records: pd.DataFrame, winner=None):
    run = DrawnRun(records, Path(), "designers, 3 members", winner)
    figure = designers(run, mean="mean of 50 episodes")
    figure.draw_without_rendering()
    return figure


def line(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


def test_panels_show_rewards_lengths_entropy_and_actions():
    records = make_records()
    figure = drawn(records, (4, 0))
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "accumulated reward",
        "best reward",
        "episode length (decisions)",
        "entropy of the policy (nats)",
        "share of decisions",
    ]
    trained = records[records["round"] > 0]
    for axes, column in zip(figure.axes, PANELS, strict=False):
        own = trained.loc[trained["member"] == 0, column]
        winner = line(axes, "winner's lineage")
        assert winner.get_color() == WINNER
        assert winner.get_ydata() == pytest.approx(own)
        median = trained.groupby("round")[column].median()
        assert line(axes, "median").get_ydata() == pytest.approx(median)
        (tree,) = (x for x in axes.collections if isinstance(x, LineCollection))
        assert len(tree.get_segments()) == 3 * 3  # none from an untrained member
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:3] == ["mean of 50 episodes"] * 3
    equal = line(figure.axes[3], "all 4 actions alike (ln 4)")
    assert equal.get_ydata() == pytest.approx([np.log(4)] * 2)
    assert figure.axes[4].get_xlabel() == "timesteps per member (decisions)"


def test_areas_are_the_mean_shares_of_all_members():
    records = make_records()
    shares = drawn(records, (4, 0)).axes[4]
    trained = records[records["round"] > 0]
    bottom = np.zeros(4)
    assert len(shares.collections) == len(ACTIONS)
    for area, action in zip(shares.collections, ACTIONS, strict=True):
        top = bottom + trained.groupby("round")[f"share_{action}"].mean().to_numpy()
        heights = sorted(set(area.get_paths()[0].vertices[:, 1].round(6)))
        assert heights == pytest.approx(sorted({*bottom.round(6), *top.round(6)}))
        bottom = top
    assert bottom == pytest.approx(1)
    legend = [text.get_text() for text in shares.get_legend().get_texts()]
    assert legend == list(ACTIONS[::-1])  # as they lie on each other
    assert len({colour_of(action) for action in ACTIONS}) == len(ACTIONS)


def test_nothing_is_drawn_of_a_member_that_failed():
    records = make_records().reset_index(drop=True)
    failed = (records["round"] == 2) & (records["member"] == 1)
    records.loc[failed, ["fitness", "best_reward"]] = np.nan, 1e6
    records.loc[failed, "share_conv1"] = 50.0
    figure = drawn(records, (4, 0))
    for axes in figure.axes[:2]:
        (tree,) = (x for x in axes.collections if isinstance(x, LineCollection))
        assert len(tree.get_segments()) == 3 * 3 - 2
    assert figure.axes[1].get_ylim()[1] < 2
    records["fitness"] = np.nan  # all of them
    assert not drawn(records).axes[4].collections


def test_one_round_is_a_bar_and_points():
    for rounds, title in ((1, "mean of 50 episodes"), (0, "untrained")):
        figure = drawn(make_records(rounds=rounds))
        assert figure.axes[0].get_title(loc="left") == title
        assert line(figure.axes[0], "winner's lineage").get_xdata() == 100 * rounds
        shares = figure.axes[4]
        assert sum(bar.get_height() for bar in shares.patches) == pytest.approx(1)
        assert shares.get_xticks().tolist() == [100 * rounds]


def test_one_member_is_one_line_beyond_its_best_round():
    figure = drawn(make_records(members=1), (1, 0))
    everything = drawn(make_records(members=1), (4, 0))
    for axes, same in zip(figure.axes[:4], everything.axes[:4], strict=True):
        times = line(axes, "the agent").get_xdata()
        assert len(times) > 2 and (times == line(same, "the agent").get_xdata()).all()
    assert [len(axes.lines) for axes in figure.axes[:4]] == [1, 1, 1, 2]
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["the agent", "all 4 actions alike (ln 4)"]


def test_legend_and_labels_fit_into_the_figure():
    figure = drawn(make_records(), (4, 0))
    actions = figure.axes[4].get_legend()
    for artist in (*figure.legends, actions, figure._suptitle):
        box = artist.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
    (legend,) = figure.legends
    lowest = min(axes.get_tightbbox().y0 for axes in figure.axes)
    assert legend.get_window_extent().y1 <= lowest + 1


def test_runs_are_compared_by_mean_and_spread():
    one, other = make_records(), make_records(rounds=2)
    runs = {"agent": [one, one.assign(fitness=one["fitness"] + 2)], "random": [other]}
    figure = compare_designers(runs, "two")
    rewards = figure.axes[0]
    assert rewards.get_ylabel() == "accumulated reward"
    expected = one[one["round"] > 0].groupby("timesteps")["fitness"].mean() + 1
    agent, random = line(rewards, "agent"), line(rewards, "random")
    assert agent.get_ydata() == pytest.approx(expected)
    assert random.get_xdata().tolist() == [100, 200]
    assert agent.get_color() != random.get_color()
    assert agent.get_linestyle() != random.get_linestyle()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["agent", "random"]


def test_bars_are_the_shares_of_trained_members():
    one, other = make_records(), make_records(rounds=2)
    (axes,) = compare_actions({"a": [one], "b": [other]}, "two").axes
    trained = one[one["round"] > 0]
    bars, _ = axes.containers
    expected = [trained[f"share_{action}"].mean() for action in ACTIONS]
    assert [bar.get_height() for bar in bars] == pytest.approx(expected)
    assert [x.get_text() for x in axes.get_xticklabels()] == list(ACTIONS)
    assert line(axes, "all actions alike").get_ydata() == [1 / 4] * 2
