"""Settings that were given and have no effect are told, and only those."""

import pytest

from bgpbt.cli.notices import notices
from bgpbt.config.options import Options


@pytest.mark.parametrize(
    ("values", "silent"),
    [
        ({"t_distillation": 1}, {}),
        ({"distill_every": 1}, {"distill_every": 1, "search_mode": "both"}),
        ({"distill_every": 1, "search_mode": "both", "max_distillation": 0}, {}),
        (
            {
                "t_distillation": 307_200,
                "search_mode": "both",
                "t_ready": 307_200,
                "max_timesteps": 614_400,
            },
            {
                "t_distillation": 307_199,
                "search_mode": "both",
                "t_ready": 307_200,
                "max_timesteps": 614_400,
            },  # an update less
        ),
        ({"arch_space": "small"}, {"arch_space": "small", "search_mode": "nas"}),
        (
            {"arch_policy": "random", "search_mode": "nas", "strategy": "pbtnas"},
            {"arch_policy": "random", "search_mode": "nas"},
        ),
        (
            {"max_distillation": 1, "search_mode": "nas", "strategy": "sha"},
            {"max_distillation": 1, "search_mode": "nas"},
        ),
        ({"exploit": "best", "strategy": "bgpbt"}, {"exploit": "best"}),
        ({"quantile_fraction": 0.25, "exploit": "best"}, {"quantile_fraction": 0.25}),
        ({"frequencies": "1,2"}, {"frequencies": "1,2", "strategy": "mfpbt"}),
        ({"categories": "mult"}, {"categories": "mult", "strategy": "pb2mix"}),
        (
            {"categories": "mult", "strategy": "pb2mix", "freeze": "sampled"},
            {"categories": "mult", "strategy": "pb2mix"},
        ),
        (
            {"shrink": 0.5, "strategy": "mutation"},
            {"shrink": 0.5, "strategy": "pbtnas"},
        ),
        ({"num_envs": 64, "task": "toy"}, {"num_envs": 64}),
        ({"problem": "deceptive"}, {"problem": "deceptive", "task": "toy"}),
        (
            {"data_dir": "x", "task": "classification"},
            {"data_dir": "x", "task": "classification", "problem": "mnist"},
        ),
        ({"data_dir": "x", "task": "toy"}, {"data_dir": "x", "task": "mine.py:task"}),
        ({"data_dir": "x"}, {}),
        ({"eval_episodes": 2, "task": "toy"}, {"eval_episodes": 2, "task": "nas"}),
        ({"filters": 2}, {"filters": 2, "task": "nas"}),
        ({"recurrent_units": 2}, {"recurrent_units": 2, "recurrent": True}),
        ({"recurrent": True, "task": "toy"}, {"recurrent": True}),
        (
            {"init_from": "x", "task": "nas", "alg_name": "uniform"},
            {"init_from": "x", "task": "nas", "alg_name": "dqn"},
        ),
        (
            {"init_moments": True, "task": "nas", "evaluate_only": "sampled"}
            | {"init_from": "x"},
            {"init_moments": True, "task": "nas", "init_from": "x"},
        ),
        (
            {"density_weight": 8, "task": "nas", "alg_name": "dqn"},
            {"density_weight": 8, "task": "nas", "designs": "branches"},
        ),
        (
            {"exploration_steps": 9, "task": "nas", "alg_name": "uniform"},
            {"exploration_steps": 9, "task": "nas", "alg_name": "dqn"},
        ),
        (
            {"evaluate_only": "greedy", "task": "nas", "alg_name": "uniform"},
            {"evaluate_only": "greedy", "task": "nas", "alg_name": "dqn"},
        ),
        ({"init_moments": True}, {"init_moments": True, "init_from": "x"}),
        (
            {"filters": 2, "task": "nas", "reward_table": "x"},
            {
                "quirks": "reference",
                "task": "nas",
                "reward_table": "x",
                "alg_name": "meta_a2c",
            },
        ),
        (
            {"data_dir": "x", "task": "nas"},
            {"data_dir": "x", "task": "nas", "problem": "mine"},
        ),
        ({"policy_layers": "8,8", "search_mode": "both"}, {"policy_layers": "8,8"}),
        ({"gp_time": False, "strategy": "bgpbt", "search_mode": "nas"}, {}),
        (
            {"perturb_scale": 0.1, "search_mode": "nas"},
            {"perturb_scale": 0.1, "search_mode": "both"},
        ),
        (
            {"gp": "gpytorch", "search_mode": "both", "arch_policy": "random"},
            {"gp": "gpytorch", "search_mode": "both"},
        ),
        ({"patience": 1}, {"patience": 1, "search_mode": "both"}),
        ({"patience": 1}, {"patience": 1, "strategy": "bgpbt"}),
        ({"gp": "gpytorch"}, {"gp": "gpytorch", "strategy": "bgpbt"}),
        (
            {"gp": "gpytorch", "strategy": "bgpbt", "freeze": "sampled"},
            {"gp": "gpytorch", "strategy": "bgpbt"},
        ),
        ({"trust_region": False}, {"trust_region": False, "strategy": "bgpbt"}),
        ({"gp_time": False}, {"gp_time": False, "strategy": "bgpbt"}),
        ({"gp_context": False}, {"gp_context": False, "strategy": "bgpbt"}),
        ({"explore": "resample", "strategy": "bgpbt"}, {"explore": "resample"}),
        ({"max_distillation": 1}, {}),
        ({"arch_policy": "random"}, {}),
        (
            {"perturb_scale": 0.1, "explore": "resample"},
            {"perturb_scale": 0.1, "explore": "perturb"},
        ),
        ({"perturb_scale": 0.1, "strategy": "random"}, {"perturb_scale": 0.1}),
        (
            {"quantile_fraction": 0.25, "strategy": "random"},
            {"quantile_fraction": 0.25},
        ),
        ({"explore": "resample", "strategy": "random"}, {"explore": "resample"}),
        ({"explore": "resample", "freeze": "sampled"}, {"explore": "resample"}),
        (
            {"freeze": "sampled", "strategy": "random"},
            {"freeze": "default", "strategy": "random"},
        ),
        ({"t_ready_end": 1_000_000}, {"t_ready_end": 900_000}),
        ({"eval_episodes": 4, "task": "toy"}, {"eval_episodes": 4}),
    ],
)
def test_notices(values, silent):
    name = next(iter(values))
    (notice,) = notices(Options(**values), {name})
    assert notice.startswith(f"{name} has no effect with ")
    assert notices(Options(**values), set()) == []
    assert notices(Options(**silent), set(silent)) == []


def test_evaluations_have_an_effect_where_the_fitness_comes_from_training():
    """They judge the untrained population, and make the final report."""
    options = Options(eval_episodes=4, fitness="training")
    assert notices(options, {"eval_episodes", "fitness"}) == []


def test_what_an_environment_says_itself(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def own():\n    pass\ndef asks(backend):\n    pass\n")
    lengths = {"episode_length": 50, "action_repeat": 1}
    given = {"episode_length", "action_repeat", "backend"}

    def told(name: str, **values) -> list[str]:
        options = Options(env_name=name, **values)
        return [line.split()[0] for line in notices(options, given, lengths)]

    assert told("gymnax:CartPole-v1") == ["episode_length", "backend"]
    playground = "playground:WalkerRun"
    assert told(playground, episode_length=50) == ["backend"]
    assert told(playground, episode_length=50, backend="warp") == []
    assert told(f"{file}:own", episode_length=50) == ["backend"]
    assert told(f"{file}:asks", action_repeat=2) == ["episode_length", "action_repeat"]
    assert told("goal", episode_length=50) == ["backend"]
    assert told("ant", episode_length=50) == []


def test_one_notice_for_each_setting():
    options = Options(strategy="random", freeze="sampled", explore="resample")
    assert (
        len(notices(options, {"strategy", "freeze", "explore", "perturb_scale"})) == 3
    )
