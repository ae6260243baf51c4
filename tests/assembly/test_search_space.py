"""A task whose search space a user changes."""

import json

import jax
import numpy as np
import pandas as pd
import pytest
from own_parts import task

import bgpbt
from bgpbt.assembly.search_space import customise
from bgpbt.cli import command
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import load_options
from bgpbt.networks.mlp import ACTIVATIONS
from bgpbt.space import Categorical, Float, Integer, SearchSpace
from bgpbt.storage.provenance import describe_space
from bgpbt.types import Playback, Policy

SPACE: SearchSpace = {
    "rate": Float(1e-3, 1.0, 0.1, log=True, least=0),
    "depth": Integer(1, 8, 2, doubling=True, least=1, most=16),
    "kind": Categorical(("a", "b", "c"), 1),
}
OFFERED: SearchSpace = {"decay": Float(0.0, 1.0, 0.5, least=0, most=1)}
TASK = task(space=SPACE, offered=OFFERED)


def changed(*words: str, fix: tuple[str, ...] = ()):
    options = load_options({"space": list(words), "fix": list(fix)})
    return customise(TASK, options.space, options.fix)


def test_nothing_asked_nothing_changed():
    assert changed() is TASK


@pytest.mark.parametrize(
    ("word", "dim"),
    [
        ("rate=1e-5:1e-2", Float(1e-5, 1e-2, 1e-2, log=True, least=0)),
        ("rate=0:2:linear", Float(0, 2, 0.1, least=0)),
        ("rate=default=0.5", Float(1e-3, 1.0, 0.5, log=True, least=0)),
        ("depth=2:16", Integer(2, 16, 2, doubling=True, least=1, most=16)),
        ("depth=3:12", Integer(3, 12, 3, doubling=True, least=1, most=16)),
        ("depth=1:11:log", Integer(1, 11, 2, log=True, least=1, most=16)),
        ("depth=4:4:linear", Integer(4, 4, 4, least=1, most=16)),
        ("kind=c,a", Categorical(("c", "a"), 0)),
        ("kind=b,c:default=c", Categorical(("b", "c"), 1)),
    ],
)
def test_a_dimension_is_changed(word, dim):
    name = word.partition("=")[0]
    space = changed(word).space
    assert space == SPACE | {name: dim} and list(space) == list(SPACE)


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("rat=1:2", "space: unknown dimension 'rat' of own, nearest: rate"),
        ("rate=1:0.1", "space: rate: low 1 is not below high 0.1"),
        ("rate=0.1:0.1", "space: rate: low 0.1 is not below high 0.1"),
        ("rate=0:1", "space: rate: low 0.0 has no logarithm, give one above 0"),
        (
            "rate=-1:1:linear",
            "rate: -1 to 1 goes beyond 0 to inf, which is",
        ),
        ("rate=0.1:1:default=2", "space: rate: default 2.0 is not in 0.1 to 1.0"),
        ("rate=default=x", "space: rate: 'x' is not a finite number"),
        (
            "rate=doubling",
            "rate: cannot have the scale doubling, give linear",
        ),
        ("rate=a,b", "space: rate: 'a,b' is no range and no scale, known: linear, log"),
        (
            "rate=log_complment",
            "'log_complment' is no range and no scale, near",
        ),
        ("depth=2:8:default=3", "space: depth: default 3 is not 2 doubled so often"),
        ("depth=1:2.5:linear", "space: depth: 2.5 is not a whole number"),
        ("depth=3:8", "space: depth: high 8 is not 3 doubled a whole number of times"),
        ("depth=1:32", "depth: 1 to 32 goes beyond 1 to 16, which is all that is"),
        ("kind=1:2", "space: kind: has no range, give some of a,b,c"),
        ("kind=a,z", "space: kind: unknown choice 'z', known: a, b, c"),
        ("kind=a,b:default=c", "space: kind: default c is not among a,b"),
    ],
)
def test_what_cannot_be_is_one_line(word, problem):
    with pytest.raises(BadInput) as caught:
        changed(word)
    assert problem in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("nothing=1",), "fix: unknown dimension 'nothing' of own"),
        (("rate=-1",), "fix: rate: -1 is not in 0 to inf"),
        (("rate=x",), "fix: rate: 'x' is not a finite number"),
        (("rate=1e39",), "fix: rate: 1e+39 is no float32, whose size is"),
        (("rate=1e-50",), "fix: rate: 1e-50 is no float32, whose size is"),
        (("depth=2.5",), "fix: depth: 2.5 is not a whole number"),
        (("kind=z",), "fix: kind: unknown choice 'z', known: a, b, c"),
        (("rate=1", "depth=1", "kind=a"), "fix: no dimension is left to search"),
    ],
)
def test_what_cannot_be_fixed_is_one_line(words, problem):
    with pytest.raises(BadInput) as caught:
        changed(fix=words)
    assert problem in str(caught.value)


def test_the_tasks_functions_see_what_they_were_written_for():
    """A fixed value is there, a choice keeps its number, what is offered may appear."""
    seen = []

    def see(hyperparams):
        seen.append({name: np.asarray(x).item() for name, x in hyperparams.items()})

    def policy(state, h):
        see(h)
        return Policy(lambda carry, obs: (carry, obs))

    watched = TASK._replace(
        evaluate=lambda key, state, h: see(h),
        refresh=lambda key, state, h: see(h),
        playback=Playback(None, policy),
    )
    options = load_options({"space": ["kind=c,a", "decay=0:0.5"], "fix": ["rate=0.25"]})
    other = customise(watched, options.space, options.fix)
    assert list(other.space) == ["depth", "kind", "decay"] and not other.offered
    values = {"depth": np.int32(4), "kind": np.int32(1), "decay": np.float32(0.5)}
    other.evaluate(None, None, values)
    other.refresh(None, None, values)
    other.playback.policy(None, values)
    assert seen == 3 * [{"rate": 0.25, "depth": 4, "kind": 0, "decay": 0.5}]


def test_first_configurations_move_to_the_nearest_end():
    options = load_options({"space": ["h0=2:4"], "fix": []})
    toy = bgpbt.make_task(load_options({"task": "toy"}))
    moved = customise(toy, options.space, options.fix)
    np.testing.assert_allclose(moved.initial_configs, [[0, 0], [0, 0.1]], atol=1e-6)


def test_without_hyperparameters_they_can_only_be_fixed():
    asked = {"task": "classification", "search_mode": "nas"}
    fixed = bgpbt.make_task(load_options(asked | {"fix": ["learning_rate=0.1"]}))
    assert "learning_rate" not in fixed.space
    wanted = "space: learning_rate is not searched with -sm nas, give -sm both or --fix"
    with pytest.raises(BadInput, match=wanted):
        bgpbt.make_task(load_options(asked | {"space": ["learning_rate=0.1:1"]}))


OFFERS = """
from own_parts import task
from bgpbt.space import Categorical, Float

def own(options):
    import jax.numpy as jnp

    def evaluate(key, state, h):
        return jnp.ones(8) * (1, 2)[h.get("kind", 0)], jnp.int32(8)

    offered = {"kind": Categorical(("a", "b"), 0)}
    return task(evaluate=evaluate, offered=offered)
"""

# Runs


def options(folder, **changes):
    settings = {"task": "toy", "strategy": "pbt", "pop_size": 4, "t_ready": 2}
    run = {"quantile_fraction": 0.25, "max_timesteps": 6, "save_dir": str(folder)}
    return load_options(settings | run | changes)


@pytest.mark.usefixtures("no_figures")
def test_a_run_searches_the_changed_space_and_resume_compares_it(tmp_path):
    asked = {"space": ["h0=1:3"], "fix": ["h1=2"]}
    result = bgpbt.run(options(tmp_path, **asked))
    rows = result.records
    assert rows["h0"].between(1, 3).all() and "h1" not in rows
    assert bgpbt.open_run(result.path).task.space == result.task.space
    with pytest.raises(BadInput, match=r"of other settings \(space "):
        bgpbt.run(options(tmp_path, space=["h0=1:4"], fix=["h1=2"]))


OWN = """
from own_parts import task
from bgpbt.space import Float

SPACE = {"rate": Float(1e-3, 1.0, 0.1, log=True), "m": Float(5.0, 9.0, 6.0)}

def own(options):
    return task(space=SPACE)
"""


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("1e-3", "1e-2", r"\(rate: low 0.001 there, 0.01 here\)"),
        ('"m"', '"n"', r"\(rate, m there, rate, n here\)"),
        ('"m"', '"n": Float(0.0, 1.0, 0.5), "m"', r"\(rate, m there, rate, n, m here"),
    ],
)
def test_a_space_that_changed_in_a_file_is_not_resumed(
    tmp_path, before, after, problem
):
    file = tmp_path / "own.py"
    file.write_text(OWN)
    given = options(tmp_path, task=f"{file}:own")
    path = bgpbt.run(given).path
    kept = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    file.write_text(OWN.replace(before, after))
    with pytest.raises(BadInput, match=f"another search space {problem}"):
        bgpbt.run(given)
    assert {p: p.read_bytes() for p in path.rglob("*") if p.is_file()} == kept


@pytest.mark.usefixtures("no_figures")
def test_a_file_whose_text_changed_is_told(tmp_path, printed):
    file = tmp_path / "own.py"
    file.write_text(OWN)
    given = options(tmp_path, task=f"{file}:own", render=False)
    bgpbt.run(given)
    assert "has changed" not in printed.getvalue()
    file.write_text(OWN + "# a word\n")
    bgpbt.run(given)
    assert "the file of task has changed since the run began" in printed.getvalue()
    file.write_text(OWN + "# two\n")
    bgpbt.run(given.model_copy(update={"existing_policy": "overwrite"}))
    assert printed.getvalue().count("has changed") == 1


@pytest.mark.usefixtures("no_figures")
def test_a_run_whose_file_was_moved_goes_on(tmp_path):
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "own.py"
    file.write_text(OWN)
    given = options(tmp_path, task=f"{file}:own")
    path = bgpbt.run(given).path
    moved = file.rename(tmp_path / "own.py")
    assert bgpbt.run(options(tmp_path, task=f"{moved}:own")).path == path
    moved.write_text(OWN + "# another\n")
    with pytest.raises(BadInput, match="other settings"):
        bgpbt.run(options(tmp_path, task=f"{moved}:own"))


@pytest.mark.usefixtures("no_figures")
def test_a_relative_file_is_known_from_every_folder(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    path = bgpbt.run(options(tmp_path, task="own.py:own")).path
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "own.py").write_text("raise ValueError('another file')")
    opened = bgpbt.open_run(path, run_files=True)
    assert len(opened.records) == 16
    assert int(opened.load().progress.round) == 3


@pytest.mark.usefixtures("no_figures")
def test_a_task_from_python_is_changed_as_well(tmp_path):
    asked = options(tmp_path, space=["decay=0:0.5"], fix=["rate=0.25"])
    result = bgpbt.run(asked, TASK)
    assert [*result.task.space] == ["depth", "kind", "decay"]
    for given in (TASK, result.task):  # one that is changed already stays
        again = bgpbt.open_run(result.path, given)
        assert again.task.space == result.task.space
        assert int(again.load().progress.round) == 3
    other = customise(TASK, {"decay": "0:0.4"}, {"rate": "0.25"})
    with pytest.raises(BadInput, match=r"decay: high 0.5 there, 0.4 here\); its"):
        bgpbt.open_run(result.path, other).load()


def test_too_many_architectures_to_list_are_one_line(tmp_path):
    wide = [f"{block}_width=1:256:linear" for block in ("policy", "value")]
    asked = {"env_name": "fast", "search_mode": "both", "strategy": "bgpbt"}
    with pytest.raises(BadInput, match="space: 6,553,600 architectures are too many"):
        bgpbt.dry_run(load_options(asked | {"space": wide, "save_dir": str(tmp_path)}))


def test_a_changed_task_of_a_file_is_held_to_the_contract(tmp_path):
    """A choice that is traced only where it is searched."""
    file = tmp_path / "own.py"
    file.write_text(OFFERS)
    given = options(tmp_path, task=f"{file}:own")
    assert list(bgpbt.make_task(given).space) == ["rate"]
    wanted = r"own: evaluate raises TracerIntegerConversionError: .*, line 9$"
    with pytest.raises(BadInput, match=wanted):
        bgpbt.make_task(options(tmp_path, task=f"{file}:own", space=["kind=a,b"]))


def test_choices_of_any_kind_are_saved_by_name():
    space = {"f": Categorical((np.tanh, None), 0), "n": Integer(1, np.int64(8), 2)}
    first, second = describe_space(space)
    assert first["choices"] == ["tanh", None] and second["high"] == 8
    json.dumps([first, second])


def test_records_and_figures_open_where_the_file_is_gone(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(OWN)
    path = bgpbt.run(options(tmp_path, task=f"{file}:own")).path
    file.unlink()
    with pytest.warns(UserWarning, match=f"no file {file}, .* open without it"):
        opened = bgpbt.open_run(path, run_files=True)
    assert len(opened.records) == 16 and len(opened.draw()) == 2
    assert [*opened.task.space] == ["rate", "m"]
    for reads_weights in (opened.load, opened.render):
        with pytest.raises(BadInput, match="no file"):
            reads_weights()


def test_a_file_that_a_run_names_is_run_only_where_that_is_asked(tmp_path, capsys):
    """The folder may be a stranger's."""
    file = tmp_path / "own.py"
    file.write_text(OWN)
    path = bgpbt.run(options(tmp_path, task=f"{file}:own")).path
    file.write_text("raise SystemExit('run')")
    opened = bgpbt.open_run(path)
    assert len(opened.records) == 16 and len(opened.draw()) == 2
    line = rf"names? Python files \(task {file}:own\); look at them, .* run_files=True"
    for reads_weights in (opened.load, opened.render):
        with pytest.raises(BadInput, match=line):
            reads_weights()
    assert command.main(["render", str(path)]) == 2
    assert f"(task {file}:own); look at them" in capsys.readouterr().err


def test_the_space_is_printed(capsys):
    words = "space -e fast --fix discounting=0.99 --space activation=tanh,elu"
    assert command.main(words.split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["dimension", "range", "scale", "default", "group"]
    first = "learning_rate 0.0001 to 0.001 log 0.0003 hyperparameter"
    assert " ".join(lines[1].split()) == first
    *searched, nothing, head, fixed = lines
    assert not any(line.startswith("discounting") for line in searched)
    last = "activation tanh,elu choices tanh hyperparameter"
    assert " ".join(searched[-1].split()) == last
    assert (nothing, head.split(), fixed.split()) == (
        "",
        ["fixed", "value"],
        ["discounting", "0.99"],
    )
    assert command.main("space -e fast --dry_run --fix discounting=0.99".split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("activation") and lines[-3].startswith("not searched")


def test_a_bad_space_ends_with_two_and_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "prepare_jax", lambda options: None)
    words = f"-t toy -ps 4 -tr 1 -mt 4 --save_dir {tmp_path} --space h0=3:1"
    assert command.main(words.split()) == 2
    program, _, line = capsys.readouterr().err.partition(": ")
    assert line == "space: h0: low 3 is not below high 1\n", program
    assert list(tmp_path.iterdir()) == []


# Activations


def test_activations_are_zero_at_zero():
    for function in ACTIVATIONS.values():
        assert float(function(0.0)) == 0
        assert np.isfinite(jax.grad(function)(0.0))


@pytest.mark.long
@pytest.mark.usefixtures("no_figures")
def test_a_records_column_of_activations(tmp_path):
    words = ["activation=tanh,silu,elu"]
    settings = {
        "env_name": "fast",
        "num_envs": 32,
        "episode_length": 20,
        "pop_size": 4,
        "quantile_fraction": 0.25,
        "t_ready": 480,
        "max_timesteps": 960,
        "policy_layers": "8,8",
        "value_layers": "8,8",
        "save_dir": str(tmp_path),
        "space": words,
        "fix": ["batch_size=16", "num_update_epochs=2", "unroll_length=15"],
    }
    result = bgpbt.run(load_options(settings))
    rows = pd.read_csv(result.path / "records.csv")
    assert set(rows["activation"]) <= {0, 1, 2} and rows["activation"].nunique() > 1
    assert "batch_size" not in rows and np.isfinite(rows["fitness"]).all()
