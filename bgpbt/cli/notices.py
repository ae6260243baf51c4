"""Settings that were given and have no effect beside the others."""

from collections.abc import Iterator, Mapping

from bgpbt.config.lookup import arguments_of, resolve, settings_of
from bgpbt.config.options import Options
from bgpbt.config.parsers import user_file
from bgpbt.config.settings import METHOD, base_name, declaration
from bgpbt.registry import STRATEGIES, TASKS

PPO_ONLY = (
    "env_name",
    "backend",
    "num_envs",
    "episode_length",
    "action_repeat",
    "policy_layers",
    "value_layers",
    "recurrent",
    "recurrent_units",
    "normalize_advantage",
    "objective",
    "discounting_scale",
    "render",
    "arch_space",
)
EPISODES = ("fitness", "eval_episodes")
NAS_ONLY = (
    "designs",
    "move_factor",
    "density_weight",
    "flops_weight",
    "design_layers",
    "design_steps",
    "exploration_steps",
    "quirks",
    "evaluate_only",
    "reward_table",
    "database",
    "image_side",
    "max_images",
    "filters",
    "norm",
    "dense_units",
    "epochs",
    "child_batch_size",
    "child_learning_rate",
)
# What decides how a network is trained, and not what is known of it already.
CHILDREN = ("data_dir", *NAS_ONLY[NAS_ONLY.index("image_side") :])
BANDIT = ("trust_region", "gp_time", "gp_context")
DISTILLATION = ("t_distillation", "distill_every", "arch_policy")
NO_LENGTHS: dict[str, int] = {}
# Names of settings, and the reason why they have no effect.
Idle = tuple[tuple[str, ...], str]


def notices(
    options: Options, given: set[str], lengths: Mapping[str, int] = NO_LENGTHS
) -> list[str]:
    """One line for each of the `given` settings that has no effect.

    Args:
      options: of the run.
      given: names of settings.
      lengths: what the environment says itself, by setting.

    Raises:
      BadInput: the strategy is a file's that cannot be used.
    """
    rules = (_generations, _method, _budget, _task, _origin)
    idle = [pair for rule in rules for pair in rule(options)]
    idle += _environment(options, lengths)
    reasons: dict[str, str] = {}
    for names, reason in idle:
        for name in (name for name in names if name in given):
            reasons.setdefault(name, reason)
    return [f"{name} has no effect with {reason}" for name, reason in reasons.items()]


def _generations(options: Options) -> Iterator[Idle]:
    """Without generations, what distils has nothing to do."""
    mode = f"search_mode {options.search_mode}"
    alone = mode if options.search_mode == "hpo" else _strategy(options)
    if options.search_mode == "hpo":
        yield ("arch_space", "max_distillation", *DISTILLATION), mode
    if options.max_distillation != 0 and not options.generations:
        yield ("max_distillation",), alone
    if not options.generations:
        yield DISTILLATION, alone if options.max_distillation else "max_distillation 0"
    if options.too_short:
        yield (
            ("max_distillation", *DISTILLATION),
            f"max_timesteps {options.max_timesteps}: no distillation would end",
        )
    if options.search_mode != "hpo":
        yield ("policy_layers", "value_layers"), mode


def _method(options: Options) -> Iterator[Idle]:
    """What the strategy does not take, or cannot use beside other settings."""
    searches = bool(options.generations) and options.arch_policy == "search"
    mode = f"search_mode {options.search_mode}"
    if options.search_mode == "nas" and options.strategy in ("pbt", "bgpbt"):
        # Members only copy.
        yield ("explore", "perturb_scale", *BANDIT), mode
        if not options.generations:
            yield ("patience",), mode
        if not searches:
            yield ("gp",), mode
    yield tuple(_not_taken(options, searches)), _strategy(options)
    if options.strategy == "random" and options.freeze == "sampled":
        yield ("freeze",), _strategy(options)
    if options.freeze is not None:
        idle = ("explore", "perturb_scale", "categories", *BANDIT, "gp", "patience")
        yield idle, f"freeze {options.freeze}"
    if options.explore == "resample":
        yield ("perturb_scale",), "explore resample"
    if options.strategy == "pbt" and options.exploit != "truncation":
        yield ("quantile_fraction",), f"exploit {options.exploit}"


def _not_taken(options: Options, searches: bool) -> set[str]:
    """Settings of other strategies."""
    fields = Options.model_fields
    method = {name for name in fields if declaration(name).group == METHOD}
    function = resolve("strategy", options.method, STRATEGIES)
    not_taken = method - set(settings_of(function))
    if options.generations:  # patience ends them
        not_taken.discard("patience")
    if searches:  # the process searches architectures
        not_taken.discard("gp")
    return not_taken


def _budget(options: Options) -> Iterator[Idle]:
    """What the length of rounds leaves unused."""
    if options.t_ready_end in (None, options.t_ready):
        yield ("t_ready_end",), "the same t_ready"


def _origin(options: Options) -> Iterator[Idle]:
    """What belongs to weights of another run."""
    if options.init_from is None:
        yield ("init_members", "init_moments"), "no init_from"


def _task(options: Options) -> Iterator[Idle]:
    """What belongs to other tasks."""
    task = f"task {options.task}"
    if options.task in TASKS and options.task != "ppo":
        yield PPO_ONLY, task
    if options.task in TASKS and options.task not in ("ppo", "nas"):
        yield EPISODES, task
    if options.task in TASKS and options.task != "nas":
        yield NAS_ONLY, task
    if options.task == "nas":
        yield from _designing(options)
    if options.task == "ppo":
        yield ("problem", "data_dir"), task
        if not options.recurrent:
            yield ("recurrent_units",), "no recurrent"
    if options.task == "toy":
        yield ("data_dir", "alg_name"), task
    if options.task == "classification":
        yield ("report_episodes",), task
        if options.problem in (None, "digits"):
            yield ("data_dir",), "problem digits"


def _designing(options: Options) -> Iterator[Idle]:
    """What a table or the data set leaves to nobody."""
    if options.designs == "chain":
        yield ("move_factor", "density_weight"), "designs chain"
    if options.alg_name != "dqn":
        yield ("exploration_steps",), f"alg_name {options.alg_name}"
    if options.alg_name != "meta_a2c" and options.reward_table is not None:
        yield ("quirks",), f"alg_name {options.alg_name} and a reward_table"
    if options.alg_name == "uniform":
        idle = ("evaluate_only", "init_from", "init_members", "init_moments")
        yield idle, "alg_name uniform, which learns nothing"
    elif options.evaluate_only is not None:
        yield ("init_moments",), "evaluate_only"
    if options.reward_table is not None:
        yield (*CHILDREN, "design_layers"), "a reward_table, which says them itself"
    if options.problem in (None, "digits"):
        yield ("data_dir",), "problem digits"


def _environment(options: Options, lengths: Mapping[str, int]) -> Iterator[Idle]:
    """What an environment does not ask for, or says itself."""
    if options.task != "ppo":
        return
    for name, own in lengths.items():
        if own != getattr(options, name):
            yield (name,), f"env_name {options.env_name}, whose own is {own}"
    if not _takes_backend(options):
        yield ("backend",), f"env_name {options.env_name}"


def _takes_backend(options: Options) -> bool:
    if user_file(options.env_name) is None:
        return options.has_backend
    function = resolve("env_name", options.env_name, {})
    return "backend" in arguments_of(function)


def _strategy(options: Options) -> str:
    return f"strategy {base_name(options.strategy)}"
