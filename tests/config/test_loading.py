"""Settings from files: which file wins, and what is said of a wrong one."""

from pathlib import Path

import pytest
import yaml

from bgpbt.config import loading
from bgpbt.config.errors import BadInput
from bgpbt.config.loading import CONFIGS, load_options
from bgpbt.config.options import Options, choices
from bgpbt.storage.places import run_folder


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def environment_configs(tmp_path, monkeypatch) -> Path:
    """A folder in the place of `configs/ppo`."""
    folder = tmp_path / "ppo"
    folder.mkdir()
    monkeypatch.setattr(loading, "CONFIGS", tmp_path)
    return folder


def test_round_trip(tmp_path):
    options = Options(
        env_name="reacher",
        seed="3,4",
        policy_layers="64,64",
        t_ready=123_450,
        t_ready_end=41_000,
        perturb_scale=1e-5,
        quantile_fraction=1 / 3,
        exp_name="1e6",
        freeze="default",
        max_parallel=2,
        num_envs=64,
        render=False,
        verbose=True,
        action_repeat=1,
    )
    (tmp_path / "options.yaml").write_text(options.to_yaml(), encoding="utf-8")
    assert load_options({}, tmp_path / "options.yaml") == options
    assert set(yaml.safe_load(options.to_yaml())) == set(Options.model_fields)


@pytest.mark.parametrize(
    "values", [{}, {"exp_name": "none yet"}, {"exp_name": "null"}, {"exp_name": "ä: #"}]
)
def test_round_trip_of_defaults_and_odd_words(tmp_path, values):
    options = Options(**values)
    (tmp_path / "options.yaml").write_text(options.to_yaml(), encoding="utf-8")
    loaded = load_options({}, tmp_path / "options.yaml")
    assert loaded == options and type(loaded.seed) is tuple


def test_merge_order(environment_configs, tmp_path):
    hopper = "pop_size: 10\nt_ready: 2e6\naction_repeat: 2\n"
    written(environment_configs / "hopper.yaml", hopper)
    written(environment_configs / "ant.yaml", "pop_size: 12\n")
    config = written(
        tmp_path / "mine.yaml", "env_name: hopper\nt_ready: 3_000_000\nnum_envs: 64\n"
    )
    options = load_options({"num_envs": "96"}, config)
    assert (options.env_name, options.episode_length) == ("hopper", 1000)
    # The environment's file wins over the defaults.
    assert (options.pop_size, options.action_repeat) == (10, 2)
    assert options.t_ready == 3_000_000  # -c wins over the environment's file
    assert options.num_envs == 96  # the command line wins over -c
    assert load_options({}).pop_size == 12
    # The command line chooses the environment's file.
    assert load_options({"env_name": "ant"}, config).pop_size == 12
    assert load_options({"env_name": "walker2d"}).pop_size == 8


def test_reacher_repeats_its_actions():
    assert load_options({"env_name": "reacher"}).action_repeat == 4
    assert load_options({"env_name": "reacher", "action_repeat": 1}).action_repeat == 1


@pytest.mark.parametrize(
    "path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.name
)
def test_config_files_are_valid_and_say_only_what_differs(path):
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#"), "why it differs"
    if path.parent.name == "ppo":
        assert path.stem in choices("env_name")
        options, default = (
            load_options({"env_name": path.stem}),
            Options(env_name=path.stem),
        )
        assert all(getattr(options, name) != getattr(default, name) for name in values)
    elif path.stem in choices("task"):
        options, default = load_options({"task": path.stem}), Options(task=path.stem)
        assert all(getattr(options, name) != getattr(default, name) for name in values)
    else:
        load_options({}, path)


def test_small_config():
    options = load_options({}, CONFIGS / "ant_small.yaml")
    assert (options.env_name, options.pop_size, options.num_envs, options.exp_name) == (
        "ant",
        8,
        64,
        "small",
    )
    assert (options.strategy, options.search_mode, options.candidates) == (
        "bgpbt",
        "both",
        8,
    )
    assert (options.arch_space, options.max_distillation) == ("small", 1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("pop_siz: 8", "unknown setting 'pop_siz', nearest: pop_size"),
        ("config: x.yaml", "unknown setting 'config', it is only a flag"),
        ("ps: 4", "unknown setting 'ps', write pop_size"),
        ("3: 4", "unknown setting '3'"),
        ("pop_size: [8", "not readable as YAML at line"),
        ("a: b: c", "not readable as YAML at line 1"),
        ("pop_size: \x00", "not readable as YAML"),
        ("- pop_size", "not a mapping"),
        ("ant", "not a mapping"),
        ("pop_size: 8\nenv_name: ant\npop_size: 4", "pop_size given twice"),
        ("pop_size: 1.5", "pop_size: 1.5 is not a whole number"),
        ("env_name: [ant]", "env_name: unknown"),
        ("n_init: 4", "n_init: 4 is below pop_size 8"),
        ("exp_name: 2001-99-99", "month must be in 1..12"),
        ("num_envs: !!int abc", "invalid literal"),
        ("num_envs: " + "9" * 5000, "not readable: "),
        ("space: " + "[" * 5000, "nested too deeply"),
        ("a: &x [1]\nb: *x", "at line 2: a reference (*) to another part"),
        ("&a [*a]", "a reference (*) to another part"),
        ("space: {x: [1, 2], x: [3, 4]}", "x given twice"),
        ("? [1, 2]\n: 3", "unhashable"),
        ("!!python/object/apply:os.getcwd []: 3", "could not determine a constructor"),
        ("a: 1\n---\nb: 2", "another document"),
        ("pop_size: 4\n" * 20_000, "larger than 100,000 bytes"),
        ('exp_name: "\\e[31m"', "is not the name of one folder"),
        ("pop_siz\u200be: 8", "unknown setting"),
        ("x" * 900 + ": 8", "unknown setting"),
    ],
    ids=lambda text: text[:20].encode("unicode_escape").decode(),
)
def test_refused_files(tmp_path, text, problem):
    config = written(tmp_path / "mine.yaml", text)
    with pytest.raises(BadInput) as caught:
        load_options({}, config)
    message = str(caught.value)
    assert (
        message.startswith(f"{config}: ")
        and problem in message
        and len(message.splitlines()) == 1
        and len(message) < 1100
        and message.isprintable()
    )


def test_unreadable_files(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"exp_name: \xe4\n")
    for name in ("missing.yaml", "latin.yaml", "."):
        with pytest.raises(BadInput, match="not readable"):
            load_options({}, tmp_path / name)


def test_file_of_comments_says_nothing(tmp_path):
    assert load_options({}, written(tmp_path / "mine.yaml", "# nothing\n")) == Options()


def test_the_source_is_named_only_where_it_is_a_file(environment_configs, tmp_path):
    config = written(tmp_path / "mine.yaml", "pop_size: 4\n")
    with pytest.raises(BadInput, match=r"^pop_size: 1 "):
        load_options({"pop_size": 1}, config)
    written(environment_configs / "ant.yaml", "num_envs: 33\n")
    with pytest.raises(BadInput, match=r"ant\.yaml: num_envs: 33"):
        load_options({})


def test_each_trial_of_nas_dmrl_begins_where_the_one_before_ends():
    """Configurations of its experiments: each names the folder of another's run."""
    files = sorted((CONFIGS / "nas").glob("*.yaml"))
    runs = {path.stem: load_options({}, path) for path in files}
    assert {"meta_1", "dqn", "uniform", "branches"} < set(runs)
    origins = {"meta_2": "meta_1", "meta_3": "meta_2", "frozen": "meta_3"}
    for name, options in runs.items():
        assert options.task == "nas" and options.exp_name == name
        before = origins.get(name)
        folder = str(run_folder(runs[before], 0)) if before else None
        assert options.init_from == folder
