"""What settings must hold together. Each check raises BadInput with one line."""

from bgpbt.config.errors import BadInput
from bgpbt.config.settings import Settings
from bgpbt.successive_halving import num_rungs

MOST_ROUNDS = 1_000_000


def check_population(options: Settings) -> None:
    """The population, its candidates and its devices."""
    size = options.pop_size
    if size == 1 and options.strategy != "random":
        raise BadInput(
            "pop_size: 1 is no population, give at least 2, or -o random", "pop_size"
        )
    if options.candidates < size:
        raise BadInput(
            f"n_init: {options.n_init} is below pop_size {size}, give at least {size}",
            "n_init",
        )
    if options.strategy == "random" and options.candidates > size:
        raise BadInput(
            f"n_init: {options.n_init} candidates for {size} members is successive "
            f"halving, not random search; give {size}",
            "n_init",
        )
    if options.devices is not None and size % options.devices:
        raise BadInput(
            f"devices: {options.devices} devices cannot share {size} members equally, "
            f"give a divisor of {size}",
            "devices",
        )


def check_budget(options: Settings) -> None:
    """Whole updates fit into rounds, and rounds into the run."""
    if options.num_envs % 32:
        below = options.num_envs // 32 * 32 or 32
        above = (options.num_envs // 32 + 1) * 32
        near = f"{below} or {above}" if below < above else above
        raise BadInput(
            f"num_envs: {options.num_envs} is no multiple of 32, give {near}",
            "num_envs",
        )
    for name in ("t_ready", "t_ready_end"):
        steps = getattr(options, name)
        least = options.update_steps
        if steps is not None and steps < least:
            raise BadInput(
                f"{name}: {steps} steps are less than one update of "
                f"{options.num_envs} environments, give at least {least}",
                name,
            )
    if options.t_ready_end is not None and options.t_ready_end > options.t_ready:
        raise BadInput(
            f"t_ready_end: {options.t_ready_end} is above t_ready, "
            f"give at most {options.t_ready}",
            "t_ready_end",
        )
    shortest = options.t_ready_end or options.t_ready
    if options.max_timesteps // shortest > MOST_ROUNDS:
        raise BadInput(
            f"max_timesteps: {options.max_timesteps} in rounds of {shortest} are more "
            f"than {MOST_ROUNDS:,} rounds, give fewer or longer ones",
            "max_timesteps",
        )
    if options.max_timesteps < options.t_ready:
        raise BadInput(
            f"max_timesteps: {options.max_timesteps} is less than one round, "
            f"give at least {options.t_ready}",
            "max_timesteps",
        )


def check_freeze(options: Settings) -> None:
    """A frozen control keeps its configurations and copies weights."""
    if options.freeze is None:
        return
    if options.search_mode != "hpo":
        raise BadInput(
            f"freeze: keeps configurations, search_mode {options.search_mode} "
            "changes them; give -sm hpo",
            "freeze",
        )
    if options.strategy == "pbt" and options.inherit == "hyperparameters":
        raise BadInput(
            "inherit: with freeze only weights travel, give weights or both", "inherit"
        )


def check_origin(options: Settings) -> None:
    """Weights of another run fit one architecture."""
    if options.init_from is not None and options.search_mode != "hpo":
        raise BadInput(
            f"init_from: with search_mode {options.search_mode} members have other "
            "architectures than the run's, give -sm hpo",
            "init_from",
        )
    if options.init_members == "all" and options.candidates > options.pop_size:
        raise BadInput(
            f"init_members: all are {options.pop_size} members, n_init asks for "
            f"{options.candidates}; give reported",
            "init_members",
        )


def check_generations(options: Settings) -> None:
    """A distillation has an update for each of its rungs."""
    if options.search_mode == "hpo":
        return
    rungs = num_rungs(options.candidates + options.generations, options.pop_size)
    least = rungs * options.update_steps
    if options.generations and options.t_distillation < least:
        raise BadInput(
            f"t_distillation: {options.t_distillation} steps are less than one update "
            f"of every rung, give at least {least}",
            "t_distillation",
        )


def check_space(options: Settings) -> None:
    """A dimension is searched or fixed."""
    for name in options.fix:
        if name in options.space:
            raise BadInput(f"fix: {name} is also in space, give one of them", "fix")


def check_memory(options: Settings) -> None:
    """Architectures are searched among networks without memory."""
    if options.task == "ppo" and options.recurrent and options.search_mode != "hpo":
        raise BadInput(
            f"recurrent: with search_mode {options.search_mode} networks have no "
            "memory, give -sm hpo",
            "recurrent",
        )


def check_physics(options: Settings) -> None:
    """Brax has no physics in Warp."""
    if options.task == "ppo" and options.in_brax and options.backend == "warp":
        raise BadInput(
            f"backend: warp is for playground:NAME, {options.env_name} is of Brax; "
            "give generalized, positional, spring or mjx",
            "backend",
        )


CHECKS = (
    check_physics,
    check_memory,
    check_space,
    check_population,
    check_budget,
    check_freeze,
    check_origin,
    check_generations,
)
