"""What a person may want to know about the settings of a run: those that were given and have no effect."""

from bgpbt.lookup import load, settings_of
from bgpbt.options import METHOD, Options, short
from bgpbt.strategies import STRATEGIES
from bgpbt.tasks import TASKS

PPO_ONLY = (
    "env_name", "backend", "num_envs", "episode_length", "action_repeat", "policy_layers", "value_layers",
    "normalize_advantage", "fitness", "eval_episodes", "discounting_scale", "render", "arch_space",
)  # fmt: skip


def notices(options: Options, given: set[str]) -> list[str]:
    """One line for each of the `given` settings that has no effect beside the others.

    Raises:
      BadInput: the strategy is a file's that cannot be used.
    """
    strategy, mode = f"strategy {short(options.strategy)}", f"search_mode {options.search_mode}"
    method = {name for name, field in Options.model_fields.items() if field.json_schema_extra["group"] == METHOD}
    unused = method - set(settings_of(load("strategy", options.method, STRATEGIES)))
    alone = mode if options.search_mode == "hpo" else strategy  # why there are no generations
    bandit = ("explore", "perturb_scale", "trust_region", "gp_time", "gp_context", "quantile_fraction")
    distillation = ("t_distillation", "distill_every", "arch_policy")
    if options.generations:  # which patience ends, and whose architectures the process may search
        unused -= {"patience", *(["gp"] if options.arch_policy == "search" else [])}
    too_short = f"max_timesteps {options.max_timesteps}: no distillation would end"
    only_copies = options.search_mode == "nas" and options.strategy in ("pbt", "bgpbt")
    idle = [
        (("arch_space", "max_distillation", *distillation), options.search_mode == "hpo", mode),
        (("max_distillation",), options.max_distillation != 0 and not options.generations, alone),
        (distillation, not options.generations, alone if options.max_distillation else "max_distillation 0"),
        (("max_distillation", *distillation), options.too_short, too_short),
        (("policy_layers", "value_layers"), options.search_mode != "hpo", mode),
        (("explore", "perturb_scale", "trust_region", "gp_time", "gp_context"), only_copies, mode),
        (("patience",), only_copies and not options.generations, mode),
        (("gp",), only_copies and not (options.generations and options.arch_policy == "search"), mode),
        (unused, True, strategy),
        (("freeze",), options.strategy == "random" and options.freeze == "sampled", strategy),
        ((*bandit[:-1], "gp", "patience"), options.freeze is not None, f"freeze {options.freeze}"),
        (("perturb_scale",), options.explore == "resample", "explore resample"),
        (("quantile_fraction",), options.strategy == "pbt" and options.exploit != "truncation", f"exploit {options.exploit}"),
        (("eval_episodes",), options.fitness == "training", "fitness training"),
        (("t_ready_end",), options.t_ready_end in (None, options.t_ready), "the same t_ready"),
        (PPO_ONLY, options.task in TASKS and options.task != "ppo", f"task {options.task}"),
        (("problem", "data_dir"), options.task == "ppo", "task ppo"),
        (("data_dir", "alg_name"), options.task == "toy", "task toy"),
        (("report_episodes",), options.task == "classification", "task classification"),
        (("data_dir",), options.task == "classification" and options.problem in (None, "digits"), "problem digits"),
    ]
    why: dict[str, str] = {}
    for names, no_effect, reason in idle:
        for name in names:
            if no_effect and name in given:
                why.setdefault(name, reason)
    return [f"{name} has no effect with {reason}" for name, reason in why.items()]
