import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

from bgpbt import files
from bgpbt.config.errors import NotSaved
from bgpbt.storage.records import best_member, lineage, replacements
from bgpbt.viz.learning_curve import learning_curve
from bgpbt.viz.schedule import MAX_PANELS, hyperparameter_schedule
from bgpbt.viz.style import MEDIAN, RANGE, WINNER

SPACE = {
    "learning_rate": (1e-4, 1e-3, True),
    "entropy_cost": (1e-6, 1e-1, True),
    "discounting": (0.9, 0.9999, False),
    "batch_size": (2, 32, True),
}
REPORT = {"mean": 50.0, "sd": 5.0, "episodes": 128, "untrained_mean": 1.0}


def make_records(members=4, rounds=5, space=SPACE):
    """From round 2 on the worst member takes the best one's weights and explores."""
    rng = np.random.default_rng(0)
    values = {
        name: rng.uniform(low, high, members) for name, (low, high, _) in space.items()
    }
    fitness, rows = rng.normal(0, 1, members), []
    for round in range(rounds + 1):
        parents = np.arange(members)
        if round >= 2 and members > 1:
            worst, best = int(np.argmin(fitness)), int(np.argmax(fitness))
            parents[worst] = best
            for name, (low, _, _) in space.items():
                values[name][worst] = (values[name][best] + low) / 2
        fitness = 10 * round + rng.normal(0, 2, members)
        hyperparameters = pd.DataFrame(
            values | ({"batch_size": [8] * members} if "batch_size" in values else {})
        )
        rows.append(
            hyperparameters.assign(
                round=round,
                generation=0,
                phase="training",
                member=range(members),
                parent=parents,
                fitness=fitness,
                timesteps=100 * round,
            )
        )
    return pd.concat(rows)


@pytest.fixture
def records():
    return make_records()


def line(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


def tree(axes):
    return next(item for item in axes.collections if isinstance(item, LineCollection))


def is_png(path):
    return path.read_bytes().startswith(
        b"\x89PNG"
    ) and path.read_bytes().rstrip().endswith(b"IEND\xaeB`\x82")


def test_a_member_far_below_does_not_flatten_the_curves(records, tmp_path):
    """The worst of a round, which has no heirs."""
    of_round = records["round"] == 2
    worst = records["fitness"] == records.loc[of_round, "fitness"].min()
    records.loc[of_round & worst, "fitness"] = -1e6
    axes, _ = learning_curve(records, tmp_path / "c.png", title="", report=REPORT).axes
    low, high = axes.get_ylim()
    assert -150 < low < 0 and 50 < high < 150
    assert line(axes, "below this axis").get_xdata().tolist() == [200]


def test_where_smaller_is_better_the_curve_is_mirrored(records, tmp_path):
    """The worst of a round is far above, and who failed stands at the top, too."""
    records = records.reset_index(drop=True)
    worst = records.loc[records["round"] == 2, "fitness"].idxmin()
    records.loc[worst, "fitness"] = -1e6
    records.loc[(records["round"] == 3) & (records["member"] == 2), "fitness"] = np.nan
    negated = records.assign(fitness=-records["fitness"])
    report = REPORT | {"mean": -50.0, "untrained_mean": -1.0}
    path = tmp_path / "c.png"
    upright, _ = learning_curve(records, path, title="", report=REPORT).axes
    axes, _ = learning_curve(negated, path, title="", report=report, minimise=True).axes
    for label in ("best", "median", "winner's lineage"):
        expected = -line(upright, label).get_ydata()
        np.testing.assert_array_equal(line(axes, label).get_ydata(), expected)
    assert line(axes, "best").get_ydata()[-1] < line(axes, "best").get_ydata()[0]
    assert axes.get_ylim() == pytest.approx([-x for x in upright.get_ylim()[::-1]])
    for label in ("above this axis", "failed"):
        height = line(axes, label).get_ydata()
        assert len(height) == 1 and height[0] > 0.9
    schedules = [
        hyperparameter_schedule(rows, path, space_limits=SPACE, title="", **way).axes[0]
        for rows, way in ((records, {}), (negated, {"minimise": True}))
    ]
    lineages = [line(panel, "winner's lineage").get_ydata() for panel in schedules]
    assert list(lineages[0]) == list(lineages[1])


@pytest.mark.parametrize("names", [["discounting"], list(SPACE)])
def test_title_and_legend_fit_into_the_figure(tmp_path, names):
    records = make_records(space={name: SPACE[name] for name in names})
    path = tmp_path / "s.png"
    title = "classification_digits, pbt with sampled configurations, 16 members, seed 0"
    limits = {name: SPACE[name] for name in names}
    figure = hyperparameter_schedule(records, path, title=title, space_limits=limits)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    for artist in (legend, figure._suptitle):
        box = artist.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1


def test_learning_curve_draws_members_population_and_winner(records, tmp_path):
    path = tmp_path / "curve.png"
    axes, side = learning_curve(records, path, title="ant", report=REPORT).axes
    assert is_png(path)
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "timesteps per member",
        "fitness (mean episode return)",
    )
    by_round = records.groupby("round")["fitness"]
    assert line(axes, "median").get_ydata() == pytest.approx(
        by_round.median().to_numpy()
    )
    assert line(axes, "best").get_ydata() == pytest.approx(by_round.max().to_numpy())
    band = (
        next(item for item in axes.collections if item.get_label() == "25–75%")
        .get_paths()[0]
        .vertices
    )
    ends = by_round.quantile([0.25, 0.75])[5].tolist()
    assert sorted(set(band[band[:, 0] == 500, 1])) == pytest.approx(ends)
    winner = line(axes, "winner's lineage")
    assert winner.get_color() == WINNER
    assert winner.get_ydata() == pytest.approx(
        lineage(records, 5, best_member(records))["fitness"].to_numpy()
    )
    assert line(axes, "untrained").get_ydata()[0] == pytest.approx(by_round.median()[0])
    assert len(line(axes, "replaced").get_xdata()) == len(replacements(records)) == 4
    assert "fresh" in side.get_xticklabels()[0].get_text()
    assert side.lines[0].get_ydata() == [50.0]


@pytest.mark.parametrize("unseen", [False, True])
def test_the_legend_names_the_marks_of_the_report(records, tmp_path, unseen):
    report = REPORT | {"unseen": unseen}
    path = tmp_path / "curve.png"
    figure = learning_curve(records, path, title="ant", report=report)
    _, side = figure.axes
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    mark_of = dict(zip(labels, legend.legend_handles, strict=True))
    assert len(mark_of) == len(labels)  # each label once
    untrained = mark_of["best untrained member"]
    assert untrained.get_marker() == "D"
    assert untrained.get_markerfacecolor() == "white"
    assert untrained.get_markeredgecolor() == MEDIAN
    assert line(side, "best untrained member").get_ydata() == [1.0]
    (reported,) = side.containers
    assert reported.get_label() == "reported member" and "reported member" in mark_of
    assert reported.lines[0].get_color() == WINNER
    figure = learning_curve(records, path, title="ant")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert not {"reported member", "best untrained member"} & set(labels)


def test_fresh_evaluations_of_the_saved_best_are_marks(records, tmp_path):
    path = tmp_path / "curve.png"
    asked = records["round"].isin([2, 4])
    watched = records.assign(report=np.where(asked, 7.0 * records["round"], np.nan))
    (axes, *_) = learning_curve(watched, path, title="made up").axes
    marks = line(axes, "saved best, fresh evaluation")
    drawn = marks.get_xydata()
    assert drawn[~np.isnan(drawn[:, 1])].tolist() == [[200, 14], [400, 28]]
    nothing = records.assign(report=np.nan)
    (axes, *_) = learning_curve(nothing, path, title="made up").axes
    assert all("fresh" not in x.get_label() for x in axes.lines)


def test_members_branch_off_from_their_parents(records, tmp_path):
    (axes,) = learning_curve(records, tmp_path / "curve.png", title="ant").axes
    segments = tree(axes).get_segments()
    assert len(segments) == 4 * 5
    fitness = {(row.round, row.member): row.fitness for row in records.itertuples()}
    drawn = sorted((start[1], end[1]) for start, end in segments)
    true = sorted(
        (fitness[r.round - 1, r.parent], r.fitness)
        for r in records.itertuples()
        if r.round
    )
    assert np.array(drawn) == pytest.approx(np.array(true))


def test_a_given_winner_is_drawn(records, tmp_path):
    other = (best_member(records) + 1) % 4
    (axes,) = learning_curve(
        records, tmp_path / "curve.png", title="ant", winner=(5, other)
    ).axes
    expected = records.query("round == 5 and member == @other")["fitness"].item()
    assert line(axes, "winner's lineage").get_ydata()[-1] == expected


def test_failed_members(records, tmp_path):
    records = records.reset_index(drop=True)
    records.loc[(records["round"] == 3) & (records["member"] == 2), "fitness"] = np.nan
    (axes,) = learning_curve(records, tmp_path / "curve.png", title="ant").axes
    assert line(axes, "failed").get_xdata().tolist() == [300]
    (axes,) = learning_curve(
        records.fillna({"fitness": 0.0}), tmp_path / "curve.png", title="ant"
    ).axes
    assert "failed" not in [line.get_label() for line in axes.lines]


def test_schedule_draws_a_panel_per_hyperparameter(records, tmp_path):
    path = tmp_path / "schedule.png"
    panels = hyperparameter_schedule(
        records, path, space_limits=SPACE, title="ant"
    ).axes
    assert is_png(path)
    assert [axes.get_title(loc="left") for axes in panels] == list(SPACE)
    assert [axes.get_yscale() for axes in panels] == ["log", "log", "linear", "log"]
    winner = lineage(records, 5, best_member(records))
    for axes, (name, (low, high, _)) in zip(panels, SPACE.items(), strict=True):
        assert line(axes, "winner's lineage").get_ydata() == pytest.approx(
            winner[name].to_numpy()
        )
        assert line(axes, "winner's lineage").get_drawstyle() == "steps-pre"
        assert [
            item.get_ydata()[0] for item in axes.lines if item.get_color() == RANGE
        ] == [low, high]
        assert len(tree(axes).get_segments()) == 4 * 5
    explored = [
        len(line(axes, "changed, or drawn anew").get_xdata()) for axes in panels
    ]
    assert explored == [4, 4, 4, 0]  # the batch size never changes
    # A value is explored when its round starts, which is when the round before ends.
    assert line(panels[0], "changed, or drawn anew").get_xdata().tolist() == [
        100,
        200,
        300,
        400,
    ]


def test_weights_that_began_afresh_have_no_past(tmp_path):
    """Member 2 is stopped after round 3 and its slot filled anew.

    No line leads there, and its own schedule begins there.
    """
    records = make_records(rounds=5).assign(
        parent=lambda rows: rows["member"], age=lambda rows: rows["timesteps"]
    )
    records = records.reset_index(drop=True)
    late = (records["member"] == 2) & (records["round"] >= 4)
    records.loc[late, "age"] -= 300
    records.loc[late, ["learning_rate", "fitness"]] = [2e-4, 99.0]
    (axes,) = learning_curve(records, tmp_path / "curve.png", title="ant").axes
    assert len(tree(axes).get_segments()) == 4 * 5 - 1
    (before,) = records.query("round == 3 and member == 2").itertuples()
    assert line(axes, "replaced").get_xydata().tolist() == [[300, before.fitness]]
    assert line(axes, "winner's lineage").get_xdata().tolist() == [400, 500]
    panel, *_ = hyperparameter_schedule(
        records, tmp_path / "schedule.png", space_limits=SPACE, title="ant"
    ).axes
    assert line(panel, "winner's lineage").get_xydata().tolist() == [
        [300, 2e-4],
        [400, 2e-4],
        [500, 2e-4],
    ]
    assert [300, 2e-4] in line(panel, "changed, or drawn anew").get_xydata().tolist()
    bend = next(s for s in tree(panel).get_segments() if tuple(s[-1]) == (400, 2e-4))
    assert bend.tolist() == [[300, 2e-4], [300, 2e-4], [400, 2e-4]]


def test_categories_have_their_names(tmp_path):
    records = make_records().assign(operation=2)
    (panel,) = hyperparameter_schedule(
        records,
        tmp_path / "h.png",
        space_limits={"operation": (0, 2, False, ("none", "skip", "conv3"))},
        title="digits",
    ).axes
    assert {
        label.get_text(): tick
        for tick, label in zip(panel.get_yticks(), panel.get_yticklabels(), strict=True)
    } == {
        "none": 0,
        "skip": 1,
        "conv3": 2,
    }


@pytest.mark.parametrize(("count", "columns"), [(4, 3), (15, 4)])
def test_the_lowest_panel_of_every_column_has_the_numbers_of_its_time(
    tmp_path, count, columns
):
    space = {f"rate_{number}": (1e-4, 1e-3, True) for number in range(count)}
    records = make_records(space=space).assign(
        trust_region=0.4, gp_lengthscale_context=1.0
    )
    *panels, region, _ = hyperparameter_schedule(
        records, tmp_path / "h.png", space_limits=space, title="ant"
    ).axes
    labelled = [axes.get_xlabel() == "timesteps per member" for axes in panels]
    assert (
        labelled == [False] * (count - columns) + [True] * columns
        and region.get_xlabel() == "timesteps per member"
    )
    assert labelled == [axes.xaxis.get_tick_params()["labelbottom"] for axes in panels]
    assert len({axes.get_xlim() for axes in (*panels, region)}) == 1


def test_a_bandits_panels_follow_its_schedule(records, tmp_path):
    """The trust region over time, and shares of importance.

    The shortest lengthscale is the longest bar, at the top.
    """
    length = {
        f"gp_lengthscale_{name}": value
        for name, value in (
            ("learning_rate", 0.5),
            ("discounting", 4.0),
            ("context", 1.0),
        )
    }
    records = records.assign(trust_region=0.4 + 0.1 * records["round"], **length)
    figure = hyperparameter_schedule(
        records, tmp_path / "h.png", space_limits=SPACE, title="ant"
    )
    region, importance = figure.axes[-2:]
    assert len(figure.axes) == len(SPACE) + 2
    np.testing.assert_allclose(region.lines[0].get_ydata(), 0.4 + 0.1 * np.arange(6))
    assert [text.get_text() for text in importance.texts] == [
        "discounting",
        "context",
        "learning_rate",
    ]
    np.testing.assert_allclose(
        [bar.get_width() for bar in importance.patches], np.array([0.25, 1, 2]) / 3.25
    )
    assert is_png(tmp_path / "h.png")


def test_the_trust_regions_axis_is_explained(records, tmp_path):
    """A region is left for a new one where the rows that the bandit knows get fewer."""
    edge = [0.4, 0.4, 0.267, 0.178, 0.4, 0.4]
    rows = [0, 4, 8, 12, 0, 4]
    diagnosed = records.assign(
        trust_region=records["round"].map(dict(enumerate(edge))),
        gp_rows=records["round"].map(dict(enumerate(rows))),
        gp_lengthscale_context=1.0,
    )
    for drawn, restarts in (
        (diagnosed, [[300, 0.4]]),
        (diagnosed[diagnosed["round"] < 4], []),
        (diagnosed.drop(columns="gp_rows"), []),
    ):
        figure = hyperparameter_schedule(
            drawn, tmp_path / "s.png", space_limits=SPACE, title="ant"
        )
        region = figure.axes[-2]
        assert region.get_ylabel() == "edge in the unit cube"
        assert region.get_ylim() == (0, 1.05)
        assert region.get_yticks().tolist() == [0, 0.5, 1]
        marks = [item for item in region.lines if item.get_marker() == "v"]
        assert [place for mark in marks for place in mark.get_xydata().tolist()] == (
            restarts
        )
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
        assert labels.count("new trust region") == len(restarts)
        assert labels.count("members") == 1


def test_a_bandits_panels_of_a_run_that_stopped_in_a_tournament(records, tmp_path):
    diagnosed = records.assign(
        trust_region=0.4, gp_lengthscale_learning_rate=1.0, gp_lengthscale_context=2.0
    )
    diagnostics = [
        "trust_region",
        "gp_lengthscale_learning_rate",
        "gp_lengthscale_context",
    ]
    space = {"learning_rate": SPACE["learning_rate"]}
    for silent, bars in ((diagnosed["round"] == 5, 2), (diagnosed["round"] >= 0, 0)):
        rows = diagnosed.copy()
        rows.loc[silent.to_numpy(), diagnostics] = np.nan
        figure = hyperparameter_schedule(
            rows, tmp_path / "s.png", space_limits=space, title="ant"
        )
        assert len(figure.axes[-1].patches) == bars


def test_whole_hyperparameters_have_whole_ticks(records, tmp_path):
    panel = hyperparameter_schedule(
        records,
        tmp_path / "s.png",
        space_limits={"batch_size": SPACE["batch_size"]},
        title="",
    ).axes[0]
    panel.figure.canvas.draw()
    low, high = panel.get_ylim()
    shown = [
        tick.label1.get_text()
        for tick in panel.yaxis.get_major_ticks()
        if low <= tick.get_loc() <= high
    ]
    assert shown == ["2", "4", "8", "16", "32"]


def test_schedule_stays_legible_with_many_hyperparameters(tmp_path):
    space = {f"value_{i}": (0.1, 1.0, False) for i in range(MAX_PANELS + 3)}
    records = make_records(members=2, rounds=2, space=space)
    figure = hyperparameter_schedule(
        records, tmp_path / "s.png", space_limits=space, title="ant"
    )
    assert len(figure.axes) == MAX_PANELS
    assert figure.get_suptitle() == "ant (first 24 of 27 hyperparameters)"
    with pytest.raises(ValueError, match="no hyperparameter"):
        hyperparameter_schedule(
            records,
            tmp_path / "s.png",
            space_limits={"other": (0, 1, False)},
            title="ant",
        )


def test_generations_are_parted_where_the_earlier_one_ends(records, tmp_path):
    records["generation"] = (records["round"] > 3).astype(int)
    (axes,) = learning_curve(records, tmp_path / "curve.png", title="ant").axes
    assert line(axes, "next generation").get_xdata() == [300, 300]
    assert "distillation" not in [patch.get_label() for patch in axes.patches]
    records["phase"] = np.where(records["round"] == 4, "distillation", "training")
    (axes,) = learning_curve(records, tmp_path / "curve.png", title="ant").axes
    (span,) = [patch for patch in axes.patches if patch.get_label() == "distillation"]
    assert (span.get_x(), span.get_width()) == (300, 100)


@pytest.mark.parametrize(("members", "rounds"), [(1, 0), (1, 1), (1, 3), (3, 0)])
@pytest.mark.parametrize("failed", [False, True])
def test_small_and_failed_runs_are_drawn_too(members, rounds, failed, tmp_path):
    records = make_records(members, rounds)
    if failed:
        records["fitness"] = np.nan
    learning_curve(
        records, tmp_path / "curve.png", title="ant", report=REPORT if rounds else None
    )
    space = {"learning_rate": SPACE["learning_rate"]}
    (panel,) = hyperparameter_schedule(
        records, tmp_path / "schedule.png", space_limits=space, title="ant"
    ).axes
    dots = [
        item
        for item in panel.lines
        if item.get_marker() == "o" and len(item.get_xdata()) == members
    ]
    assert rounds or dots  # without a step there is no line: show the points
    assert is_png(tmp_path / "curve.png") and is_png(tmp_path / "schedule.png")


def test_a_picture_is_replaced_whole_or_not_at_all(records, tmp_path, monkeypatch):
    path = tmp_path / "new" / "curve.png"
    learning_curve(records, path, title="ant")
    before = path.read_bytes()

    def break_off(target):
        assert target != path and target.stat().st_size
        raise OSError("disk full")

    monkeypatch.setattr(files, "sync", break_off)
    with pytest.raises(NotSaved, match="disk full"):
        learning_curve(records, path, title="other")
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_drawing_leaves_pyplot_alone(records, tmp_path):
    before, loaded = dict(matplotlib.rcParams), "matplotlib.pyplot" in sys.modules
    learning_curve(records, tmp_path / "curve.png", title="ant")
    assert dict(matplotlib.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == loaded
