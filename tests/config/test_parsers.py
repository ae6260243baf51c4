"""From text to values: what a setting may hold, and what is said where it may not."""

import math

import pytest
from refusals import refusal_of

from bgpbt.config.errors import nearest
from bgpbt.config.options import Options


@pytest.mark.parametrize(
    "value",
    [2_000_000, "2000000", "2_000_000", "2e6", "2E+6", 2e6, "2000000.0", " 2e6 "],
)
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
        (0, "0 is no population, give at least 1"),
        ("-8", "'-8' is no population, give at least 1"),
        ("nan", "not a finite number"),
        (math.inf, "not a finite number"),
        ("1e30", "too large"),
        (10**400, "not a number"),
    ],
)
def test_refused_whole_numbers(value, problem):
    error = refusal_of(pop_size=value)
    assert (
        str(error).startswith("pop_size: ")
        and problem in str(error)
        and error.field == "pop_size"
    )


@pytest.mark.parametrize("value", [0, "-8"])
def test_refused_counts(value):
    message = f"num_envs: {value!r} is not positive, give at least 1"
    assert str(refusal_of(num_envs=value)) == message


NUMBERS = [
    name
    for name, field in Options.model_fields.items()
    if type(field.default) in (int, float)
]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [-1, "-0.5", "nan", "-inf", "many"])
def test_no_number_is_negative_or_endless(name, value):
    assert str(refusal_of(**{name: value})).startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("epochs", 100_000),
        ("child_batch_size", 65_536),
        ("exploration_steps", 2**22),
        ("flops_weight", 999_999),
    ],
)
def test_what_no_machine_serves_is_refused(name, most):
    assert getattr(Options(**{name: most}), name) == most
    assert str(refusal_of(**{name: most + 1})).startswith(f"{name}: ")
    refusal_of(**{name: "1e15"})


MAY_BE_ZERO = (
    "max_distillation",
    "mix_probability",
    "shrink",
    "perturb",
    "move_factor",
    "density_weight",
    "flops_weight",
)


@pytest.mark.parametrize("name", [name for name in NUMBERS if name not in MAY_BE_ZERO])
def test_few_numbers_are_zero(name, value=0):
    assert str(refusal_of(**{name: value})).startswith(f"{name}: ")


@pytest.mark.parametrize("name", ["n_init", "t_ready_end", "devices", "max_parallel"])
def test_optional_counts(name):
    word = "auto" if name == "max_parallel" else "none"
    assert getattr(Options(**{name: word}), name) == Options.model_fields[name].default
    assert getattr(Options(num_envs=32, pop_size=500, **{name: "5e2"}), name) == 500
    refusal_of(**{name: "0"})
    refusal_of(**{name: "most"})


@pytest.mark.parametrize(
    "value",
    [
        ["0", "1", "2"],
        "0,1,2",
        "{0,1,2}",
        ["{0,1,2}"],
        "0 1 2",
        [0, 1, 2],
        ["0,", "1,2"],
    ],
)
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
    assert problem in str(refusal_of(seed=value))


@pytest.mark.parametrize("value", ["64,64", ["64", "64"], [64, 64], "64 64", ["64,64"]])
@pytest.mark.parametrize("name", ["policy_layers", "value_layers"])
def test_layers(name, value):
    assert getattr(Options(**{name: value}), name) == (64, 64)


@pytest.mark.parametrize(
    ("value", "problem"),
    [("64,32", "as in 64,64"), ("", "no layer"), ("64,0", "not positive")],
)
@pytest.mark.parametrize("name", ["policy_layers", "value_layers"])
def test_refused_layers(name, value, problem):
    assert problem in str(refusal_of(**{name: value}))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"pop_siz": 8}, "unknown setting 'pop_siz', nearest: pop_size"),
        ({"env_name": "hoper"}, "env_name: unknown 'hoper', nearest: hopper"),
        ({"env_name": ["ant"]}, "unknown ['ant']"),
        ({"env_name": "gymnax:"}, "'gymnax:' names none of its environments"),
        ({"env_name": "gym:CartPole-v1"}, "or path/to/file.py:function"),
        ({"env_name": "mine.py"}, "or path/to/file.py:function"),
        ({"backend": "Spring"}, "backend: unknown 'Spring', nearest: spring"),
        ({"backend": "native"}, "known: generalized, positional, spring, mjx, warp"),
        ({"strategy": "pbtt"}, "strategy: unknown 'pbtt', nearest: pbt"),
        ({"strategy": "mine.py"}, "or path/to/file.py:function"),
        ({"strategy": "mine.txt:f"}, "or path/to/file.py:function"),
        ({"task": "mine.py:"}, "or path/to/file.py:function"),
        ({"task": "toys"}, "task: unknown 'toys', nearest: toy"),
        ({"frequencies": "1,1"}, "does not rise strictly"),
        ({"frequencies": ""}, "frequencies: no number is given"),
        ({"shrink": -0.1}, "outside [0, 1]"),
        ({"freeze": "all"}, "known: sampled, default"),
        ({"verbose": "maybe"}, "verbose: 'maybe' is neither true nor false"),
        ({"eta": 0}, "eta: 0 is no reduction, give at least 2"),
        ({"eta": 1}, "eta: 1 is no reduction, give at least 2"),
        ({"quantile_fraction": 0.51}, "outside (0, 0.5]"),
        ({"perturb_scale": 1}, "outside (0, 1)"),
        ({"exp_name": "../up"}, "not the name of one folder"),
        ({"exp_name": ".."}, "not the name of one folder"),
        ({"exp_name": ""}, "not the name of one folder"),
        ({"save_dir": ""}, "save_dir: no folder is given"),
        ({"exp_name": "two\nlines/"}, "exp_name: "),
        ({"exp_name": "\x1b[31m"}, "not the name of one folder"),
        ({"exp_name": "\udcff"}, "not the name of one folder"),
        ({"pop_size": 1e9}, "more than bgpbt can serve, give at most 100000"),
        ({"devices": 10_000}, "more than bgpbt can serve, give at most 1024"),
        ({"max_distillation": 1e6}, "more than bgpbt can serve, give at most 100"),
        ({"policy_layers": "9e9,9e9"}, "more than bgpbt can serve"),
        ({"policy_layers": "8 " * 101}, "101 layers are too many"),
        (
            {"task": "toy", "t_ready": 1, "max_timesteps": 1e8},
            "more than 1,000,000 rounds, give fewer or longer ones",
        ),
    ],
)
def test_refused_values(values, problem):
    assert problem in str(refusal_of(**values))


def test_numbers_are_names_too():
    assert Options(exp_name=5).exp_name == "5"


def test_ends_of_ranges_are_accepted():
    assert Options(quantile_fraction=0.5).quantile_fraction == 0.5
    assert Options(perturb_scale="0.99").perturb_scale == 0.99


def test_nearest_falls_back():
    assert nearest("zzz", ("ant", "hopper")) == "known: ant, hopper"
    assert nearest("zzz", ("ant",), otherwise="ask") == "ask"
