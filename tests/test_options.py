import math
from pathlib import Path

import pytest
import yaml

from bgpbt import options as module
from bgpbt.notices import notices
from bgpbt.options import BadInput, NotAvailable, Options, available, choices, load_options, nearest

CONFIGS = Path(module.__file__).parent.parent / "configs"


def refusal(**values) -> BadInput:
    with pytest.raises(BadInput) as caught:
        Options(**values)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def usual(tmp_path, monkeypatch) -> Path:
    """A folder in the place of `configs/ppo`."""
    folder = tmp_path / "ppo"
    folder.mkdir()
    monkeypatch.setattr(module, "CONFIGS", tmp_path)
    return folder


# Values


@pytest.mark.parametrize("value", [2_000_000, "2000000", "2_000_000", "2e6", "2E+6", 2e6, "2000000.0", " 2e6 "])
def test_whole_numbers(value):
    t_ready = Options(t_ready=value).t_ready
    assert t_ready == 2_000_000 and type(t_ready) is int


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("1.5", "not a whole number"),
        (1.5, "not a whole number"),
        ("1e6x", "not a number"),
        ("", "not a number"),
        (True, "not a number"),
        (None, "not a number"),
        ([8], "not a number"),
        (0, "not positive"),
        ("-8", "not positive"),
        ("nan", "not a finite number"),
        (math.inf, "not a finite number"),
        ("1e30", "too large"),
        (10**400, "not a number"),
    ],
)
def test_refused_whole_numbers(value, problem):
    error = refusal(pop_size=value)
    assert str(error).startswith("pop_size: ") and problem in str(error) and error.field == "pop_size"


NUMBERS = [name for name, field in Options.model_fields.items() if type(field.default) in (int, float)]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [-1, "-0.5", "nan", "-inf", "many"])
def test_no_number_is_negative_or_endless(name, value):
    assert str(refusal(**{name: value})).startswith(f"{name}: ")


MAY_BE_ZERO = ("max_distillation", "mix_probability", "shrink", "perturb")


@pytest.mark.parametrize("name", [name for name in NUMBERS if name not in MAY_BE_ZERO])
def test_few_numbers_are_zero(name, value=0):
    assert str(refusal(**{name: value})).startswith(f"{name}: ")


@pytest.mark.parametrize("name", ["n_init", "t_ready_end", "devices", "max_parallel"])
def test_optional_counts(name):
    word = "auto" if name == "max_parallel" else "none"
    assert getattr(Options(**{name: word}), name) == Options.model_fields[name].default
    assert getattr(Options(num_envs=32, pop_size=500, **{name: "5e2"}), name) == 500
    refusal(**{name: "0"})
    refusal(**{name: "most"})


@pytest.mark.parametrize("value", [["0", "1", "2"], "0,1,2", "{0,1,2}", ["{0,1,2}"], "0 1 2", [0, 1, 2], ["0,", "1,2"]])
def test_seeds(value):
    assert Options(seed=value).seed == (0, 1, 2)


def test_one_seed():
    assert Options(seed=7).seed == Options(seed="7").seed == (7,)
    assert Options(seed=2**32 - 1).seed == (2**32 - 1,)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("0,1,0", "0 is given twice"),
        ("1,1e0", "1 is given twice"),
        ("", "no seed"),
        ("{}", "no seed"),
        ("-1", "outside"),
        (2**32, "outside"),
        ("0,x", "'x' is not a number"),
        ({0: None}, "not a number"),
    ],
)
def test_refused_seeds(value, problem):
    assert problem in str(refusal(seed=value))


@pytest.mark.parametrize("value", ["64,64", ["64", "64"], [64, 64], "64 64", ["64,64"]])
@pytest.mark.parametrize("name", ["policy_layers", "value_layers"])
def test_layers(name, value):
    assert getattr(Options(**{name: value}), name) == (64, 64)


@pytest.mark.parametrize(("value", "problem"), [("64,32", "as in 64,64"), ("", "no layer"), ("64,0", "not positive")])
@pytest.mark.parametrize("name", ["policy_layers", "value_layers"])
def test_refused_layers(name, value, problem):
    assert problem in str(refusal(**{name: value}))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"pop_siz": 8}, "unknown setting 'pop_siz', nearest: pop_size"),
        ({"env_name": "hoper"}, "env_name: unknown 'hoper', nearest: hopper"),
        ({"env_name": "swimmer"}, "unknown 'swimmer'"),
        ({"env_name": ["ant"]}, "unknown ['ant']"),
        ({"backend": "Spring"}, "backend: unknown 'Spring', nearest: spring"),
        ({"backend": "native"}, "known: generalized, positional, spring, mjx"),
        ({"strategy": "pbtt"}, "strategy: unknown 'pbtt', nearest: pbt"),
        ({"strategy": "mine.py"}, "or path/to/file.py:function"),
        ({"strategy": "mine.txt:f"}, "or path/to/file.py:function"),
        ({"task": "mine.py:"}, "or path/to/file.py:function"),
        ({"task": "toys"}, "task: unknown 'toys', nearest: toy"),
        ({"frequencies": "1,1"}, "does not rise strictly"),
        ({"frequencies": ""}, "does not rise strictly"),
        ({"shrink": -0.1}, "outside [0, 1]"),
        ({"freeze": "all"}, "known: sampled, default"),
        ({"verbose": "maybe"}, "verbose: "),
        ({"quantile_fraction": 0.51}, "outside (0, 0.5]"),
        ({"perturb_scale": 1}, "outside (0, 1)"),
        ({"exp_name": "../up"}, "not the name of one folder"),
        ({"exp_name": ".."}, "not the name of one folder"),
        ({"exp_name": ""}, "not the name of one folder"),
        ({"save_dir": ""}, "save_dir: "),
        ({"exp_name": "two\nlines/"}, "exp_name: "),
    ],
)
def test_refused_values(values, problem):
    assert problem in str(refusal(**values))


def test_numbers_are_names_too():
    assert Options(exp_name=5).exp_name == "5"


def test_ends_of_ranges_are_accepted():
    assert Options(quantile_fraction=0.5).quantile_fraction == 0.5
    assert Options(perturb_scale="0.99").perturb_scale == 0.99


def test_nearest_falls_back():
    assert nearest("zzz", ("ant", "hopper")) == "known: ant, hopper"
    assert nearest("zzz", ("ant",), otherwise="ask") == "ask"


# Values that must fit each other


def test_population_of_one():
    assert "at least 2" in str(refusal(pop_size=1, strategy="random"))


def test_candidates():
    assert Options().candidates == 8
    assert Options(pop_size=8, n_init=8).candidates == 8
    assert Options(n_init=24).candidates == 24
    assert "n_init: 7 is below pop_size 8" in str(refusal(n_init=7))
    assert "successive halving" in str(refusal(strategy="random", n_init=9))
    assert Options(strategy="random", n_init=8).candidates == 8


def test_what_is_frozen_cannot_travel():
    assert "inherit: with freeze only weights travel" in str(refusal(freeze="sampled", inherit="hyperparameters"))
    assert Options(freeze="sampled", inherit="weights").freeze == "sampled"


def test_candidates_of_bgpbt():
    assert Options(strategy="bgpbt").candidates == 24
    assert Options(strategy="bgpbt", pop_size=32).candidates == 32
    assert Options(strategy="bgpbt", n_init=9).candidates == 9


@pytest.mark.parametrize(("given", "right"), [(33, "32 or 64"), (31, "give 32"), (2047, "2016 or 2048")])
def test_num_envs_is_a_multiple_of_32(given, right):
    assert right in str(refusal(num_envs=given))


@pytest.mark.parametrize("name", ["t_ready", "t_ready_end"])
def test_smallest_round(name):
    least = 15 * 64 * 4
    assert f"{name}: " in (text := str(refusal(num_envs=64, action_repeat=4, **{name: least - 1})))
    assert text.endswith(f"at least {least}")
    assert getattr(Options(num_envs=64, action_repeat=4, **{name: least}), name) == least


def test_budget():
    assert "t_ready_end: 1000001 is above" in str(refusal(t_ready_end=1_000_001))
    assert Options(t_ready_end=1_000_000).t_ready_end == 1_000_000
    assert "max_timesteps: 999999 is less than one round" in str(refusal(max_timesteps=999_999))
    assert Options(max_timesteps=1_000_000).max_timesteps == 1_000_000


def test_devices_share_the_population():
    assert Options(devices=4).devices == 4
    assert "divisor of 8" in str(refusal(devices=3))


def test_t_ready_anneals_linearly():
    options = Options(t_ready=5_000_000, t_ready_end=1_000_000, max_timesteps=150_000_000)
    assert [options.t_ready_at(t) for t in (0, 75_000_000, 150_000_000, 160_000_000)] == [
        5_000_000,
        3_000_000,
        1_000_000,
        1_000_000,
    ]
    assert options.t_ready_at(1_000_000) == int(5_000_000 - 4_000_000 / 150)
    assert Options().t_ready_at(149_000_000) == 1_000_000


# What is not built yet


LATER = [(name, word) for name, words in module.LATER.items() for word in words]


@pytest.mark.parametrize(("name", "word"), LATER)
def test_not_available_yet(name, word):
    with pytest.raises(NotAvailable, match="not available yet") as caught:
        Options(**{name: word})
    assert f"{name} {word}" in str(caught.value) and ", ".join(available(name)) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_all_that_is_missing_is_named_once_the_rest_is_right():
    wanted = {"env_name": "fetch"}
    text = str(refusal(**wanted))
    assert all(f"{name} {word}" in text for name, word in wanted.items())
    assert not isinstance(refusal(**wanted, pop_size=0), NotAvailable)
    assert not isinstance(refusal(**wanted, t_ready=1), NotAvailable)


def test_environments_are_those_of_envs():
    import envs
    from envs import brax

    assert sorted(available("env_name")) == sorted(brax.NAMES)
    assert set(available("env_name")) <= set(envs.ENVS)
    assert set(available("backend")) == set(brax.BACKENDS)


def test_strategies_are_those_of_the_package():
    from bgpbt.strategies import STRATEGIES

    assert sorted(available("strategy")) == sorted(STRATEGIES)


# Declarations


def test_every_setting_is_declared_in_full():
    flags = []
    for field in Options.model_fields.values():
        assert field.description and field.json_schema_extra["group"]
        flags += field.json_schema_extra["flags"]
    assert len(set(flags)) == len(flags) and "-c" not in flags


def test_defaults_are_the_originals():
    options = Options()
    assert (options.env_name, options.pop_size, options.quantile_fraction, options.seed) == ("ant", 8, 0.125, (0,))
    assert (options.t_ready, options.t_ready_end, options.max_timesteps) == (1_000_000, None, 150_000_000)
    assert (options.t_distillation, options.distill_every, options.patience) == (30_000_000, 40_000_000, 20)
    assert (options.max_distillation, options.arch_policy, options.existing_policy) == (2, "search", "resume")
    assert (options.policy_layers, options.value_layers) == ((32,) * 4, (256,) * 5)
    assert Options(**options.model_dump()) == options  # the defaults pass their own checks


def test_options_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Options().pop_size = 4


def test_choices():
    assert choices("arch_policy") == ("random", "search")
    assert set(available("env_name")) < set(choices("env_name")) and "toy" in choices("task")
    assert choices("freeze") == ("sampled", "default")
    assert choices("pop_size") == choices("seed") == choices("exp_name") == ()


# Files


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
    options.save(tmp_path / "options.yaml")
    assert load_options({}, tmp_path / "options.yaml") == options
    assert set(yaml.safe_load(options.to_yaml())) == set(Options.model_fields)


@pytest.mark.parametrize("values", [{}, {"exp_name": "none yet"}, {"exp_name": "null"}, {"exp_name": "ä: #"}])
def test_round_trip_of_defaults_and_odd_words(tmp_path, values):
    options = Options(**values)
    options.save(tmp_path / "options.yaml")
    loaded = load_options({}, tmp_path / "options.yaml")
    assert loaded == options and type(loaded.seed) is tuple


def test_merge_order(usual, tmp_path):
    written(usual / "hopper.yaml", "pop_size: 10\nt_ready: 2e6\naction_repeat: 2\n")
    written(usual / "ant.yaml", "pop_size: 12\n")
    config = written(tmp_path / "mine.yaml", "env_name: hopper\nt_ready: 3_000_000\nnum_envs: 64\n")
    options = load_options({"num_envs": "96"}, config)
    assert (options.env_name, options.episode_length) == ("hopper", 1000)
    assert (options.pop_size, options.action_repeat) == (10, 2)  # the environment's file wins over the defaults
    assert options.t_ready == 3_000_000  # -c wins over the environment's file
    assert options.num_envs == 96  # the command line wins over -c
    assert load_options({}).pop_size == 12
    assert load_options({"env_name": "ant"}, config).pop_size == 12  # the command line chooses the environment's file
    assert load_options({"env_name": "walker2d"}).pop_size == 8


def test_reacher_repeats_its_actions():
    assert load_options({"env_name": "reacher"}).action_repeat == 4
    assert load_options({"env_name": "reacher", "action_repeat": 1}).action_repeat == 1


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.name)
def test_config_files_are_valid_and_say_only_what_differs(path):
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#"), "why it differs"
    if path.parent.name == "ppo":
        assert path.stem in available("env_name")
        options, default = load_options({"env_name": path.stem}), Options(env_name=path.stem)
        assert all(getattr(options, name) != getattr(default, name) for name in values)
    elif path.stem in available("task"):
        options, default = load_options({"task": path.stem}), Options(task=path.stem)
        assert all(getattr(options, name) != getattr(default, name) for name in values)
    else:
        load_options({}, path)


def test_small_config():
    options = load_options({}, CONFIGS / "ant_small.yaml")
    assert (options.env_name, options.pop_size, options.num_envs, options.exp_name) == ("ant", 8, 64, "small")
    assert (options.strategy, options.search_mode, options.candidates) == ("bgpbt", "both", 8)
    assert (options.arch_space, options.max_distillation) == ("small", 1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("pop_siz: 8", "unknown setting 'pop_siz', nearest: pop_size"),
        ("config: x.yaml", "unknown setting 'config'"),
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
    ],
)
def test_refused_files(tmp_path, text, problem):
    config = written(tmp_path / "mine.yaml", text)
    with pytest.raises(BadInput) as caught:
        load_options({}, config)
    message = str(caught.value)
    assert message.startswith(f"{config}: ") and problem in message and len(message.splitlines()) == 1


def test_unreadable_files(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"exp_name: \xe4\n")
    for name in ("missing.yaml", "latin.yaml", "."):
        with pytest.raises(BadInput, match="not readable"):
            load_options({}, tmp_path / name)


def test_file_of_comments_says_nothing(tmp_path):
    assert load_options({}, written(tmp_path / "mine.yaml", "# nothing\n")) == Options()


def test_the_source_is_named_only_where_it_is_a_file(usual, tmp_path):
    config = written(tmp_path / "mine.yaml", "pop_size: 4\n")
    with pytest.raises(BadInput, match=r"^pop_size: 1 "):
        load_options({"pop_size": 1}, config)
    written(usual / "ant.yaml", "num_envs: 33\n")
    with pytest.raises(BadInput, match=r"ant\.yaml: num_envs: 33"):
        load_options({})


def test_not_available_from_a_file(tmp_path):
    with pytest.raises(NotAvailable, match="not available yet"):
        load_options({}, written(tmp_path / "mine.yaml", "env_name: fetch\n"))


# Notices


@pytest.mark.parametrize(
    ("values", "silent"),
    [
        ({"t_distillation": 1}, {}),
        ({"distill_every": 1}, {"distill_every": 1, "search_mode": "both"}),
        ({"distill_every": 1, "search_mode": "both", "max_distillation": 0}, {}),
        (
            {"t_distillation": 307_200, "search_mode": "both", "t_ready": 307_200, "max_timesteps": 614_400},
            {"t_distillation": 307_199, "search_mode": "both", "t_ready": 307_200, "max_timesteps": 614_400},  # an update less
        ),
        ({"arch_space": "small"}, {"arch_space": "small", "search_mode": "nas"}),
        ({"arch_policy": "random", "search_mode": "nas", "strategy": "pbtnas"}, {"arch_policy": "random", "search_mode": "nas"}),
        ({"max_distillation": 1, "search_mode": "nas", "strategy": "sha"}, {"max_distillation": 1, "search_mode": "nas"}),
        ({"exploit": "best", "strategy": "bgpbt"}, {"exploit": "best"}),
        ({"quantile_fraction": 0.25, "exploit": "best"}, {"quantile_fraction": 0.25}),
        ({"frequencies": "1,2"}, {"frequencies": "1,2", "strategy": "mfpbt"}),
        ({"shrink": 0.5, "strategy": "mutation"}, {"shrink": 0.5, "strategy": "pbtnas"}),
        ({"num_envs": 64, "task": "toy"}, {"num_envs": 64}),
        ({"problem": "deceptive"}, {"problem": "deceptive", "task": "toy"}),
        ({"data_dir": "x", "task": "classification"}, {"data_dir": "x", "task": "classification", "problem": "mnist"}),
        ({"data_dir": "x", "task": "toy"}, {"data_dir": "x", "task": "mine.py:task"}),
        ({"data_dir": "x"}, {}),
        ({"policy_layers": "8,8", "search_mode": "both"}, {"policy_layers": "8,8"}),
        ({"gp_time": False, "strategy": "bgpbt", "search_mode": "nas"}, {}),
        ({"perturb_scale": 0.1, "search_mode": "nas"}, {"perturb_scale": 0.1, "search_mode": "both"}),
        ({"gp": "gpytorch", "search_mode": "both", "arch_policy": "random"}, {"gp": "gpytorch", "search_mode": "both"}),
        ({"patience": 1}, {"patience": 1, "search_mode": "both"}),
        ({"patience": 1}, {"patience": 1, "strategy": "bgpbt"}),
        ({"gp": "gpytorch"}, {"gp": "gpytorch", "strategy": "bgpbt"}),
        ({"gp": "gpytorch", "strategy": "bgpbt", "freeze": "sampled"}, {"gp": "gpytorch", "strategy": "bgpbt"}),
        ({"trust_region": False}, {"trust_region": False, "strategy": "bgpbt"}),
        ({"gp_time": False}, {"gp_time": False, "strategy": "bgpbt"}),
        ({"gp_context": False}, {"gp_context": False, "strategy": "bgpbt"}),
        ({"explore": "resample", "strategy": "bgpbt"}, {"explore": "resample"}),
        ({"max_distillation": 1}, {}),
        ({"arch_policy": "random"}, {}),
        ({"perturb_scale": 0.1, "explore": "resample"}, {"perturb_scale": 0.1, "explore": "perturb"}),
        ({"perturb_scale": 0.1, "strategy": "random"}, {"perturb_scale": 0.1}),
        ({"quantile_fraction": 0.25, "strategy": "random"}, {"quantile_fraction": 0.25}),
        ({"explore": "resample", "strategy": "random"}, {"explore": "resample"}),
        ({"explore": "resample", "freeze": "sampled"}, {"explore": "resample"}),
        ({"freeze": "sampled", "strategy": "random"}, {"freeze": "default", "strategy": "random"}),
        ({"t_ready_end": 1_000_000}, {"t_ready_end": 900_000}),
        ({"eval_episodes": 4, "fitness": "training"}, {"eval_episodes": 4, "fitness": "concurrent"}),
    ],
)
def test_notices(values, silent):
    name = next(iter(values))
    (notice,) = notices(Options(**values), {name})
    assert notice.startswith(f"{name} has no effect with ")
    assert notices(Options(**values), set()) == []
    assert notices(Options(**silent), set(silent)) == []


def test_one_notice_for_each_setting():
    options = Options(strategy="random", freeze="sampled", explore="resample")
    assert len(notices(options, {"strategy", "freeze", "explore", "perturb_scale"})) == 3
