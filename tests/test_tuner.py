"""`bgpbt.Tuner`: the engine's decisions to the bit, answers, and saving."""

import os
import subprocess
import sys

import numpy as np
import pytest
from toys import SPACE, quadratic, same_bits
from tuners import answers_of, idle_then_best, small

import bgpbt
from bgpbt.assembly import own_loop, parts
from bgpbt.config.errors import BadInput, NotSaved
from bgpbt.config.options import Options
from bgpbt.registry import STRATEGIES
from bgpbt.space import Categorical
from bgpbt.training import loop
from bgpbt.training.decision import Exchange
from bgpbt.types import Source

P = 8
ROUNDS = 5
# What a run is given beside its usual settings.
SETTINGS = {
    "bgpbt": {"patience": 2},
    "pbt": {"exploit": "t_test", "explore": "both"},
    "pb2": {},
    "pb2mix": {},
    "mfpbt": {"frequencies": (1, 2)},
    "ipbt": {"max_timesteps": 40 * ROUNDS},
    "firepbt": {"interval": 2},
    "pbtnas": {"mix_probability": 0.5},
    "sha": {},
    "random": {},
}
# A bandit, blocks with architectures, restarts; the others take long to compile.
CASES = [
    name
    if name in ("bgpbt", "pbtnas", "sha")
    else pytest.param(name, marks=pytest.mark.long)
    for name in SETTINGS
]


@pytest.fixture(autouse=True)
def build_once(monkeypatch, strategies):
    """Strategies are pure functions: engine and Tuner share what is compiled."""
    build = parts.build

    def cached(setting, word, function, kind, *args, **kwargs):
        key = word, repr(args), repr(kwargs)
        if setting != "strategy" or key not in strategies:
            strategies[key] = build(setting, word, function, kind, *args, **kwargs)
        return strategies[key]

    monkeypatch.setattr(parts, "build", cached)
    monkeypatch.setattr(own_loop, "build", cached)


@pytest.fixture(scope="module")
def strategies():
    return {}


# The engine


class Recorder:
    """What the engine saw and decided in every round."""

    def __init__(self, monkeypatch):
        self.played = []
        begin, inherit = loop.begin, loop.inherit

        def begins(engine, seed, observer, origin):
            state, rows = begin(engine, seed, observer, origin)
            self.task, self.first = engine.task, state
            return state, rows

        def inherits(engine, state, step, evaluation, observer):
            after = inherit(engine, state, step, evaluation, observer)
            self.played.append((state, step, evaluation, after))
            return after

        monkeypatch.setattr(loop, "begin", begins)
        monkeypatch.setattr(loop, "inherit", inherits)


@pytest.fixture
def recorder(monkeypatch, compile_once):
    return Recorder(monkeypatch)


@pytest.mark.parametrize("name", CASES)
def test_the_tuner_decides_what_the_engine_decides(tmp_path, recorder, name):
    """All arrays of every round, through a file after each of them."""
    own = SETTINGS[name]
    if name not in ("sha", "random", "mfpbt"):
        own = own | {"quantile_fraction": 0.25}
    in_run = {"strategy": name, "pop_size": P, "n_init": P, "seed": (3,)} | own
    fix = {} if name == "pbtnas" else {"first_width": "2"}
    bgpbt.run(run_options(tmp_path, fix=fix, devices=2, **in_run), quadratic())

    space, blocks = recorder.task.space, recorder.task.blocks
    tuner = bgpbt.Tuner(space, name, P, 3, blocks, **own)
    check_same_decisions(tmp_path, recorder, tuner)


def run_options(folder, **settings) -> Options:
    """Five rounds of 40 steps."""
    budget = {"t_ready": 40, "max_timesteps": 40 * ROUNDS, "report_episodes": 3}
    return Options(task="toy", save_dir=str(folder), **(budget | settings))


def check_same_decisions(tmp_path, recorder, tuner) -> None:
    first = recorder.first
    returns = first_returns(recorder)
    assert same_bits(tuner._state.progress.config, first.progress.config)
    tuner.tell(first.progress.fitness, 0, returns)
    assert same_bits(tuner._state.strategy, first.strategy)
    exchanges = 0
    for state, step, evaluation, after in recorder.played:
        if not isinstance(step, Exchange):
            continue  # the end of the run
        exchanges += 1
        tuner.save(tmp_path / "tuner.bin")
        tuner = bgpbt.Tuner.load(tmp_path / "tuner.bin")
        answers = tuner.tell(evaluation.fitness, 40, evaluation.returns)
        assert same_bits(tuner._state.strategy, step.strategy)
        for field in ("config", "parents", "source", "active", "timesteps", "age"):
            ours, theirs = (
                getattr(p, field) for p in (tuner._state.progress, after.progress)
            )
            assert same_bits(ours, theirs), field
        assert float(tuner.best.fitness) == float(state.best.fitness)
        check_answers(answers, step.decision, tuner)
    last = recorder.played[-1][0].progress.round
    assert exchanges == last - 1 >= ROUNDS - 1


def first_returns(recorder) -> np.ndarray:
    """Of the untrained members: their mean is all that strategies look at."""
    return np.repeat(recorder.first.progress.fitness[:, None], 3, axis=1)


def check_answers(answers, decision, tuner) -> None:
    """Answers say what the arrays of the decision say."""
    for b, block in enumerate(tuner._loop.blocks):
        for field in ("parents", "shrink", "perturb"):
            told = [getattr(answer, field)[block] for answer in answers]
            np.testing.assert_array_equal(
                np.array(told, np.float32), getattr(decision, field)[:, b]
            )
    assert [a.source for a in answers] == [Source(int(s)).name for s in decision.source]
    assert [a.config for a in answers] == tuner.configs


@pytest.mark.long
def test_bgpbt_on_the_toy_task(tmp_path, recorder):
    """Of the command line's `-t toy`, with one return."""
    settings = {"strategy": "bgpbt", "quantile_fraction": 0.25, "n_init": P}
    bgpbt.run(run_options(tmp_path, problem="deceptive", **settings))
    tuner = bgpbt.Tuner(recorder.task.space, pop_size=P, quantile_fraction=0.25)
    check_same_decisions(tmp_path, recorder, tuner)


# What is told and answered


def test_configs_are_pythons_own_values():
    space = SPACE | {"flag": Categorical((None, True, 0.5, "relu"), 0)}
    tuner = bgpbt.Tuner(space, "random", pop_size=16, blocks=("first", "second"))
    for config in tuner.configs:
        assert list(config) == list(space)
        assert type(config["rate"]) is float and 1e-3 <= config["rate"] <= 0.5
        assert type(config["batch"]) is int and config["batch"] in (2, 4, 8, 16, 32)
        assert config["kind"] in ("plain", "heavy")
        assert config["flag"] in (None, True, 0.5, "relu")
    assert len({config["flag"] for config in tuner.configs}) > 1


def test_the_first_round_is_of_untrained_members_who_all_go_on():
    tuner = small()
    configs = tuner.configs
    answers = tuner.tell([1.0, 2.0, 3.0, 4.0], steps=0)
    assert [answer.config for answer in answers] == configs == tuner.configs
    for member, answer in enumerate(answers):
        assert answer == (
            member,
            configs[member],
            {"net": member},
            {"net": "keep"},
            {"net": 1.0},
            {"net": 0.0},
            True,
            "initial",
        )
    assert tuner.best is None and tuner.round == 0


def test_a_round_of_pbt_by_hand():
    """The worst of four copies the best and explores; the saved best is the best."""
    tuner = small()
    tuner.tell([0.0] * 4, steps=0)
    before = tuner.configs
    answers = tuner.tell([1.0, 4.0, 2.0, 3.0], steps=[5, 5, 5, 5])
    assert [a.weights["net"] for a in answers] == ["copy", "keep", "keep", "keep"]
    assert [a.parents["net"] for a in answers] == [1, 1, 2, 3]
    assert answers[0].source == "perturbed" and answers[0].config != before[1]
    assert [a.config for a in answers[1:]] == before[1:]
    assert tuner.best == (1, 1, 4.0, before[1]) and tuner.round == 1
    # Nobody is as good again: the saved best stays.
    tuner.tell([1.0, 1.5, 2.0, 3.0], steps=5)
    assert tuner.best == (1, 1, 4.0, before[1])


def test_a_loss_is_minimised_and_a_failed_member_replaced():
    tuner = small(minimise=True)
    tuner.tell([5.0] * 4, steps=0)
    answers = tuner.tell([1.0, float("nan"), 3.0, 2.0], steps=5)
    assert answers[1].parents == {"net": 0} and tuner.best.fitness == 1.0
    assert tuner.records["fitness"].dropna().min() == 1.0
    assert tuner.records["fitness"].tail(4).isna().tolist() == [0, 1, 0, 0]


def test_who_fails_in_successive_halving_restarts():
    tuner = small(strategy="sha", quantile_fraction=None)
    tuner.tell([0.0] * 4, steps=0)
    answers = tuner.tell([1.0, float("nan"), 3.0, 2.0], steps=5)
    words = ["restart", "restart", "keep", "keep"]
    assert [a.weights["net"] for a in answers] == words
    assert (answers[1].shrink, answers[1].perturb) == ({"net": 0.0}, {"net": 1.0})
    tuner.tell([1.0, 2.0, 3.0, 2.0], steps=7)
    assert tuner.records["age"].tolist() == [0] * 4 + [5] * 4 + [7, 7, 12, 12]
    assert tuner.records["timesteps"].tolist() == [0] * 4 + [5] * 4 + [12] * 4


def test_blocks_of_two_parents_and_shrink_perturb():
    blocks = ("first", "second")
    tuner = bgpbt.Tuner(
        SPACE,
        "pbtnas",
        blocks=blocks,
        quantile_fraction=0.25,
        mixing="whole",
        shrink=0.5,
        perturb=0.25,
    )
    tuner.tell(np.arange(8), steps=0)
    for answer in tuner.tell(np.arange(8), steps=3):
        assert answer.weights == dict.fromkeys(blocks, "shrink-perturb")
        assert answer.shrink == dict.fromkeys(blocks, 0.5)
        assert answer.perturb == dict.fromkeys(blocks, 0.25)


def test_idle_members_and_the_saved_best():
    """A strategy of one's own: member 0 rests, member 1 takes the saved best."""
    tuner = small(strategy=idle_then_best, quantile_fraction=None)
    tuner.tell([0.0] * 4, steps=0)
    answers = tuner.tell([9.0, 1.0, 2.0, 3.0], steps=5)
    assert [a.active for a in answers] == [False, True, True, True]
    answers = tuner.tell([float("inf"), 1.0, 2.0, 3.0], steps=[99, 5, 5, 5])
    assert answers[1].parents == {"net": "best"} and answers[1].weights["net"] == "copy"
    assert tuner.best.round == 1 and tuner.best.member == 0
    last = tuner.records.tail(4)
    assert last["fitness"].tolist() == [9.0, 1.0, 2.0, 3.0]
    assert last["timesteps"].tolist() == [5, 10, 10, 10]


GIVES_UP = """
import numpy as np
from bgpbt.strategies.operators import inherit_all
from bgpbt.types import Source, Strategy

def gives_up(space, blocks, *, patience):
    def step(key, state, outcome):
        if state == patience:
            raise ValueError("enough")
        members = np.arange(len(outcome.fitness))
        source = np.full(len(members), int(Source.previous))
        decision = inherit_all(outcome, outcome.config, members, len(blocks), source)
        return np.int32(state + 1), decision

    return Strategy(init=lambda key, outcome: np.int32(0), step=step)
"""


def test_a_strategy_of_a_file_that_raises_changes_nothing(tmp_path, monkeypatch):
    """It takes settings, and is known from every folder."""
    (tmp_path / "own.py").write_text(GIVES_UP)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    own = {"strategy": "own.py:gives_up", "patience": 2, "quantile_fraction": None}
    small(**own).save("tuner.bin")
    monkeypatch.chdir(tmp_path / "elsewhere")
    tuner = bgpbt.Tuner.load("../tuner.bin")
    answers_of(tuner, 3)
    before = tuner._state
    with pytest.raises(BadInput, match=r"step raises ValueError: enough, line 9$"):
        tuner.tell([1.0] * 4, steps=1)
    assert same_bits(tuner._state, before) and tuner.round == 2


def test_records_are_those_that_the_figures_draw(tmp_path):
    from bgpbt.storage.records import replacements
    from bgpbt.viz.learning_curve import learning_curve

    tuner = small()
    assert tuner.records.empty
    answers_of(tuner, 4)
    rows = tuner.records
    assert len(rows) == 16 and len(replacements(rows)) == 2
    np.testing.assert_allclose(rows["rate"].tail(4), rates_told(small()), rtol=1e-6)
    learning_curve(rows, tmp_path / "curve.png", title="own loop")
    assert (tmp_path / "curve.png").stat().st_size > 0


def rates_told(tuner) -> list[float]:
    return [answer.config["rate"] for answer in answers_of(tuner, 3)[-1]]


# Saving


@pytest.mark.parametrize("saved_after", range(4))
def test_a_saved_tuner_goes_on_to_the_same_bits(tmp_path, saved_after):
    path = tmp_path / "new folder" / "tuner.bin"
    whole, killed = small(), small()
    told = answers_of(whole, 4)
    before = answers_of(killed, saved_after)
    killed.save(path)
    again = bgpbt.Tuner.load(path)
    assert again.configs == killed.configs
    assert before + answers_of(again, 4 - saved_after, saved_after) == told
    assert again.records.equals(whole.records) and again.best == whole.best
    assert [p.name for p in path.parent.iterdir()] == ["tuner.bin"]


def test_a_function_is_given_again(tmp_path):
    path = tmp_path / "tuner.bin"
    tuner = small(strategy=idle_then_best, quantile_fraction=None)
    told = answers_of(tuner, 2)
    tuner.save(path)
    with pytest.raises(BadInput, match="idle_then_best was given as a function, give"):
        bgpbt.Tuner.load(path)
    again = bgpbt.Tuner.load(path, strategy=idle_then_best)
    assert answers_of(again, 1, 2) == answers_of(tuner, 1, 2) != told
    with pytest.raises(BadInput, match="idle_then_best, not random, leave it out"):
        bgpbt.Tuner.load(path, strategy="random")


def test_files_that_cannot_be_read(tmp_path):
    path = tmp_path / "tuner.bin"
    with pytest.raises(BadInput, match=r"tuner\.bin: not readable: No such file"):
        bgpbt.Tuner.load(path)
    tuner = small()
    answers_of(tuner, 2)
    tuner.save(path)
    good = path.read_bytes()
    broken = {
        "is damaged, give an earlier copy": [
            good[:-1],
            good[:2000],
            good[:-500] + bytes([good[-500] ^ 1]) + good[-499:],
        ],
        "is no saved tuner": [b"", b"PK\x03\x04", good[1:], good[:20]],
        r"version 9 is not known here \(1 is\)": [b"tuner 9" + good[7:]],
    }
    for message, contents in broken.items():
        for content in contents:
            path.write_bytes(content)
            with pytest.raises(BadInput, match=message) as caught:
                bgpbt.Tuner.load(path)
            assert "\n" not in str(caught.value)


def test_a_kill_or_a_full_disk_leaves_the_file_before(tmp_path, monkeypatch):
    path = tmp_path / "tuner.bin"
    tuner = small()
    tuner.save(path)
    good = path.read_bytes()
    answers_of(tuner, 1)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(NotSaved, match="could not be written: No space left"):
        tuner.save(path)
    assert path.read_bytes() == good and list(tmp_path.iterdir()) == [path]


# The package


def test_it_imports_nothing_heavy_but_jax(tmp_path):
    code = (
        "import sys, bgpbt\n"
        "from bgpbt.space import Float\n"
        "tuner = bgpbt.Tuner({'rate': Float(0.1, 1.0, 0.5)}, 'random')\n"
        "tuner.tell([0.0] * 8, 0), tuner.save('t'), bgpbt.Tuner.load('t')\n"
        "heavy = {'brax', 'mujoco', 'orbax', 'flax', 'matplotlib', 'torch'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    root = os.path.dirname(os.path.dirname(bgpbt.__file__))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_every_strategy_is_compared_or_refused():
    assert set(SETTINGS) == set(STRATEGIES) - {"mutation"}
