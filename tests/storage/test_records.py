import numpy as np
import pandas as pd
import pytest

from bgpbt.storage.records import (
    best_member,
    lineage,
    replacements,
    tidy,
    winner_lineage,
    with_parent,
)

# Parents of three members in rounds 0 to 4. Member 1 takes over 2's weights in round 2,
# which had taken 0's in round 1; then 0 takes 1's in round 3, while 1 and 2 swap in the
# last round.
PARENTS = [[0, 1, 2], [0, 1, 0], [0, 2, 2], [1, 1, 2], [0, 2, 1]]
FITNESS = [
    [1.0, 2.0, 3.0],
    [4.0, 1.0, 2.0],
    [2.0, 5.0, 6.0],
    [7.0, 6.0, 5.0],
    [6.0, 8.0, np.nan],
]


@pytest.fixture
def records():
    rows = [
        {
            "round": r,
            "member": m,
            "parent": PARENTS[r][m],
            "fitness": FITNESS[r][m],
            "timesteps": 100 * r,
            "phase": "training",
        }
        for r in range(5)
        for m in range(3)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


@pytest.mark.parametrize(
    ("round", "member", "path"),
    [
        (4, 0, [0, 2, 1, 0, 0]),
        (4, 1, [0, 2, 2, 2, 1]),
        (4, 2, [0, 2, 1, 1, 2]),
        (1, 1, [1, 1]),
        (0, 2, [2]),
    ],
)
def test_lineage_follows_a_chain_of_copies(records, round, member, path):
    # For example, as round/member: 4/0 <- 3/0 <- 2/1 <- 1/2 <- 0/0.
    line = lineage(records, round, member)
    assert line["round"].tolist() == list(range(round + 1))
    assert line["member"].tolist() == path
    assert line["fitness"].tolist() == pytest.approx(
        [FITNESS[r][m] for r, m in enumerate(path)], nan_ok=True
    )


def test_lineage_ends_where_weights_began_afresh(records):
    """Member 2 began afresh in round 4 and stays its own parent, as it is written.

    Its weights have no history.
    """
    records = records.assign(age=records["timesteps"])
    assert len(lineage(records, 4, 1)) == 5  # every age adds up
    fresh = (records["round"] == 4) & (records["member"] == 2)
    records.loc[fresh, ["age", "parent"]] = [100, 2]
    assert lineage(records, 4, 2)["round"].tolist() == [4]
    from_best = records.assign(
        age=records["age"].where(~fresh, 350)
    )  # its slot has trained on since
    assert not with_parent(from_best)["reinitialised"].any()
    assert len(lineage(from_best, 4, 2)) == 5
    students = records.assign(phase="distillation")
    assert lineage(students, 4, 2)["round"].tolist() == [
        0,
        1,
        2,
        3,
        4,
    ]  # a student's teacher
    ended = records.assign(
        phase=records["phase"].where(records["round"] != 3, "distillation")
    )
    assert not with_parent(ended)["reinitialised"].any()  # the first round after it
    steps = with_parent(records)
    assert steps.loc[
        steps["reinitialised"], ["round", "member"]
    ].to_numpy().tolist() == [[4, 2]]
    assert not with_parent(students)["reinitialised"].any()
    assert not with_parent(records.drop(columns="age"))["reinitialised"].any()


def test_lineage_of_an_unknown_member_is_refused(records):
    with pytest.raises(KeyError, match="member 3 in round 4"):
        lineage(records, 4, 3)
    with pytest.raises(KeyError, match="member -1 in round 0"):
        lineage(records, 0, -1)


def test_lineage_needs_no_parent_in_round_zero(records):
    records["parent"] = records["parent"].astype(float).mask(records["round"] == 0)
    assert lineage(records, 4, 0)["member"].tolist() == [0, 2, 1, 0, 0]


def test_replacements_are_the_rows_with_another_parent(records):
    rows = replacements(records)[["round", "member", "parent"]]
    assert rows.to_numpy().tolist() == [
        [1, 2, 0],
        [2, 1, 2],
        [3, 0, 1],
        [4, 1, 2],
        [4, 2, 1],
    ]


def test_where_smaller_is_better_the_same_members_win(records):
    negated = records.assign(fitness=-records["fitness"])
    for number in range(5):
        best = best_member(negated, number, minimise=True)
        assert best == best_member(records, number)
    path = winner_lineage(negated, minimise=True)["member"]
    assert path.tolist() == winner_lineage(records)["member"].tolist()
    assert winner_lineage(negated)["member"].tolist() != path.tolist()


def test_best_member_leaves_out_failures(records):
    assert best_member(records) == 1
    assert [best_member(records, round) for round in range(5)] == [2, 0, 2, 0, 1]
    assert best_member(records.assign(fitness=np.nan)) is None
    assert (
        best_member(records.assign(fitness=records["fitness"].replace(8.0, np.inf)))
        == 0
    )


def test_the_winner_is_the_best_of_the_last_round_unless_another_is_named(records):
    pd.testing.assert_frame_equal(winner_lineage(records), lineage(records, 4, 1))
    named = winner_lineage(records, (3, 0))
    pd.testing.assert_frame_equal(named, lineage(records, 3, 0))
    failed = records.assign(fitness=np.nan)
    assert winner_lineage(failed).empty and len(winner_lineage(failed, (3, 0))) == 4


def test_tidy_leaves_the_records_as_they_were(records):
    before = records.copy()
    rows = tidy(records)
    assert rows[["round", "member"]].to_numpy().tolist() == [
        [r, m] for r in range(5) for m in range(3)
    ]
    pd.testing.assert_frame_equal(records, before)


def test_with_parent_joins_the_parents_row_of_the_round_before(records):
    steps = with_parent(records)
    assert len(steps) == 12
    for step in steps.itertuples():
        assert (step.round_before, step.member_before) == (step.round - 1, step.parent)
        assert step.fitness_before == FITNESS[step.round - 1][step.parent]
        assert step.timesteps_before == step.timesteps - 100


def test_neither_students_nor_survivors_are_replacements(records):
    """Round 2 ends a tournament: its members have other numbers in round 3.

    Round 1 began it with students of member 0.
    """
    phase = {1: "distillation", 2: "distillation"}
    rows = replacements(
        records.assign(phase=[phase.get(r, "training") for r in records["round"]])
    )
    assert rows[["round", "member", "parent"]].to_numpy().tolist() == [
        [4, 1, 2],
        [4, 2, 1],
    ]
