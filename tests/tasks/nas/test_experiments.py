"""What a run knows of designs, on disk and in the programs."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from bgpbt.config.errors import BadInput, NotSaved
from bgpbt.networks.canvas import Sizes
from bgpbt.networks.structure import in_words
from bgpbt.tasks.nas import database, rewards
from bgpbt.tasks.nas.cost import Cost
from bgpbt.tasks.nas.database import Form
from bgpbt.tasks.nas.design import CHAIN, Rules, act, empty
from bgpbt.tasks.nas.experiments import FILE, Experiments, in_order
from bgpbt.tasks.nas.rewards import RewardData

DEPTH = 4
SETTINGS = {"side": 28, "depth": DEPTH}
NOTHING = RewardData((), ())


def rows_of(*actions: int) -> np.ndarray:
    rules = Rules(CHAIN, side=28, depth=DEPTH)
    design = empty(rules)
    for action in actions:
        design = act(rules, design, jnp.int32(action))
    return np.asarray(design.rows)


def found(*members: dict[tuple, float]) -> dict:
    """What members found, as the metrics of a round."""
    keys = np.full((len(members), 3, rewards.words(DEPTH)), rewards.NO_KEY, np.int32)
    worths = np.zeros((len(members), 3), np.float32)
    for i, own in enumerate(members):
        for j, (actions, worth) in enumerate(own.items()):
            keys[i, j] = rewards.key_of(rows_of(*actions))
            worths[i, j] = worth
    judged = np.full(len(members), 5)
    number = np.array([len(own) for own in members])
    result = {"found_keys": keys, "found_worths": worths}
    return result | {"found": number, "judged": judged}


def experiments(path=None, **changes) -> Experiments:
    settings = {"capacity": 8, "settings": SETTINGS} | changes
    return Experiments("digits", Form(DEPTH), path=path, **settings)


def looked_up(cache: Experiments, *actions: int) -> float | None:
    known = cache.fill(NOTHING).known
    known = rewards.Known(*map(jnp.asarray, known))
    hit, worth = rewards.look_up(known, rewards.key_of(jnp.asarray(rows_of(*actions))))
    return round(float(worth), 4) if hit else None


def test_what_was_found_is_known_in_the_next_round_and_in_the_next_process(tmp_path):
    cache = experiments()
    assert cache.open(tmp_path) == [] and looked_up(cache, 1) is None
    cache.add(found({(1,): 0.5, (1, 3): 0.25}, {(): 0.125}))
    said = "10 designs were judged, 3 of them for the first time; best: conv3, 0.5"
    assert said in cache.summary()
    for known in (cache, experiments()):
        known.open(tmp_path)
        assert looked_up(known, 1) == 0.5 and looked_up(known, 1, 3) == 0.25
        assert looked_up(known) == 0.125 and looked_up(known, 3) is None


def test_the_first_member_is_believed(tmp_path):
    cache = experiments()
    cache.open(tmp_path)
    cache.add(found({(1,): 0.5}, {(1,): 0.75}))
    assert looked_up(cache, 1) == 0.5


def test_the_order_of_the_shapes_never_changes(tmp_path):
    cache = experiments()
    cache.open(tmp_path)
    shapes = [x.shape for x in cache.fill(NOTHING).known]
    cache.add(found({(1,): 0.5}))
    assert [x.shape for x in cache.fill(NOTHING).known] == shapes
    small = experiments(capacity=2)  # what does not fit is judged again
    small.open(tmp_path)
    small.add(found({(2,): 0.5, (3,): 0.5, (4,): 0.5}))
    assert small.fill(NOTHING).known.worths.shape == (2,)


def test_a_member_that_idled_found_nothing(tmp_path):
    cache = experiments()
    cache.open(tmp_path)
    idle = {name: np.zeros_like(x) for name, x in found({(1,): 0.5}).items()}
    cache.add(idle)
    assert not (tmp_path / FILE).exists() and looked_up(cache) is None
    both = found({(1,): 0.5}, {})
    both["found_keys"][1] = 0
    cache.add(both)
    assert looked_up(cache, 1) == 0.5 and looked_up(cache) is None


def test_every_run_of_a_process_has_what_it_has_found_itself(tmp_path):
    cache = experiments()
    for seed in ("0", "1"):
        (tmp_path / seed).mkdir()
        cache.open(tmp_path / seed)
        assert looked_up(cache, 1) is None
        cache.add(found({(1,): 0.5}))


def test_a_design_that_was_not_valid_there_is_judged_here(tmp_path):
    rows = np.roll(rows_of(1), 3, axis=0)
    lost = database.Experiment(
        rows, 0, 0, 0, 0, database.datetime(2026, 1, 2), 3, False
    )
    database.write_all(tmp_path / FILE, "digits", [lost])
    cache = experiments()
    cache.open(tmp_path)
    assert looked_up(cache, 1) is None


@pytest.mark.parametrize("name", ["all.json", "all", "no/all.csv"])
def test_a_name_that_is_none_of_a_database_is_refused(name, tmp_path):
    with pytest.raises(BadInput, match=r"give a name such as all\.csv"):
        experiments(tmp_path / name).check()
    assert not list(tmp_path.iterdir())


def test_a_terminal_layer_of_a_file_changes_nothing(tmp_path):
    rows = np.roll(rows_of(1, 7), 2, axis=0)
    filled = database.Experiment(
        rows, 40, 0.4, 0, 0, database.datetime(2026, 1, 2), 3, True
    )
    database.write_all(tmp_path / FILE, "digits", [filled])
    assert (in_order(rows)[:, 1] == [1, 0, 0, 0]).all()
    cache = experiments()
    assert "designs known before: 1" in cache.open(tmp_path)[1]
    assert looked_up(cache, 1) == 0.4
    cache.add(found({(2,): 0.5}))
    kept = database.read(tmp_path / FILE, "digits", Form(DEPTH))
    assert len(kept) == 2 and kept[database.digest(rows)][1:] == filled[1:]


def test_runs_share_a_file_and_add_to_it(tmp_path):
    path = tmp_path / "shared.csv"
    one, other = experiments(path), experiments(path)
    for cache in (one, other):
        cache.open(tmp_path / "run")
    one.add(found({(1,): 0.5}))
    other.add(found({(2,): 0.25}))
    assert len(database.read(path, "digits", Form(DEPTH))) == 2
    assert looked_up(other, 1) == 0.5
    assert json.loads((tmp_path / "shared.json").read_text()) == SETTINGS
    with pytest.raises(BadInput, match=r"\(side 28 there, 8 here\)"):
        experiments(path, settings=SETTINGS | {"side": 8}).open(tmp_path)
    (tmp_path / "shared.json").write_text("{")
    with pytest.raises(BadInput, match=r"shared\.json is damaged"):
        experiments(path).open(tmp_path)
    (tmp_path / "shared.json").unlink()
    assert "is taken to be of these" in experiments(path).open(tmp_path)[0]
    path.write_text(path.read_text() + "garbage\n")
    with pytest.raises(NotSaved, match="line 4 has 1 fields"):
        one.add(found({(3,): 0.5}))


def test_what_is_damaged_of_a_runs_own_is_set_aside(tmp_path):
    cache = experiments()
    cache.open(tmp_path)
    cache.add(found({(1,): 0.5}))
    torn = (tmp_path / FILE).read_bytes()[:-5]
    (tmp_path / FILE).write_bytes(torn)
    said = experiments().open(tmp_path)
    assert "line 2 is cut short" in said[0] and "experiments.csv.damaged" in said[0]
    assert (tmp_path / f"{FILE}.damaged").read_bytes() == torn
    cache.add(found({(2,): 0.5}))
    other = experiments(settings=SETTINGS | {"side": 8})  # the images have changed
    with pytest.raises(BadInput, match=r"judged by other networks.*\(side 28"):
        other.open(tmp_path)
    assert looked_up(other, 1) is None


def test_a_file_of_before_branches_is_of_chains(tmp_path):
    settings = SETTINGS | {"designs": "chain"}
    path = tmp_path / "shared.csv"
    (tmp_path / "shared.json").write_text(json.dumps(SETTINGS))
    experiments(path, settings=settings).check()
    with pytest.raises(BadInput, match="designs chain there, branches here"):
        experiments(path, settings=settings | {"designs": "branches"}).check()


def test_terms_of_the_reward_stand_in_the_file_and_its_accuracy_is_known(tmp_path):
    sizes = Sizes(28, 1, 4, 6, 10, DEPTH)
    cache = experiments(cost=Cost(sizes, flops_weight=2))
    cache.open(tmp_path)
    cache.add(found({(1,): 0.5}))
    (one,) = database.read(tmp_path / FILE, "digits", Form(DEPTH)).values()
    operations = 26**2 * 2 * 9 * 4
    assert (one.density, one.flops, one.accuracy) == (1, operations, 0.5)
    assert one.reward == pytest.approx(50 - 2 * np.log(operations), rel=1e-5)
    assert looked_up(cache, 1) == 0.5


def test_a_branch_is_named_by_what_it_reads():
    rows = np.zeros((DEPTH, 5), np.int32)
    rows[:3] = (1, 1, 3, 0, 0), (2, 2, 2, 0, 0), (3, 5, 0, 2, 1)
    assert in_words(rows) == "conv3 max2(0) add(2,1)"
