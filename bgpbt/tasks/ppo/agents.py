"""`-t ppo`: agents in an environment, as the options describe them."""

from bgpbt import space as spaces
from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.environment import Env
from bgpbt.networks.mlp import MLP
from bgpbt.registry import GENERATIONAL
from bgpbt.space import SearchSpace
from bgpbt.tasks.ppo.actor_critic import BLOCKS
from bgpbt.tasks.ppo.distributions import distribution_of
from bgpbt.tasks.ppo.environments import make_environment
from bgpbt.tasks.ppo.recurrent import SPACE as RECURRENT_SPACE
from bgpbt.tasks.ppo.spaces import (
    architecture_space,
    hyperparameter_space,
    offered_space,
)
from bgpbt.tasks.ppo.task import ppo
from bgpbt.types import Task

# Padded widths of networks: few, because each has its own compiled programs.
WIDTHS = (64, 128, 256)
DEPTHS = {"full": 5, "small": 2}
Sizes = dict[str, tuple[int, int]]  # depth and width of each block's network


def agents(options: Options) -> Task:
    """Builds the task that the options describe: PPO in an environment.

    Args:
      options: of the run.

    Raises:
      BadInput: another algorithm is asked for.
    """
    if options.alg_name != "ppo":
        raise BadInput(
            f"alg_name: {options.alg_name} trains classifiers, agents learn by ppo",
            "alg_name",
        )
    env = make_env(options)
    space = _hyperparameters(options)
    _check_knobs(options, env, space)
    space = space | env.knobs
    if options.search_mode == "hpo":
        return ppo_task(
            options,
            env,
            space=space,
            sizes=network_sizes(options),
            spectral_norm=False,
        )
    widths = WIDTHS[:1] if options.arch_space == "small" else WIDTHS
    depth = DEPTHS[options.arch_space]
    architectures = architecture_space(depth, widths[-1])
    space = space | architectures if options.search_mode == "both" else architectures
    if options.strategy not in GENERATIONAL:
        # It may bring in an architecture at any round, so that there is room for all.
        widths = widths[-1:]
    *variants, largest = (
        ppo_task(
            options,
            env,
            space=space,
            sizes=dict.fromkeys(BLOCKS, (depth, width)),
            spectral_norm=True,
        )
        for width in widths
    )
    return largest._replace(padding=largest.padding._replace(variants=tuple(variants)))


def _hyperparameters(options: Options) -> SearchSpace:
    """What is searched of the learner."""
    space = hyperparameter_space(options.num_envs, options.discounting_scale)
    return space | RECURRENT_SPACE if options.recurrent else space


def make_env(options: Options) -> Env:
    """Builds the environment of the options.

    Args:
      options: of the run.
    """
    return make_environment(
        options.env_name,
        backend=options.backend,
        episode_length=options.episode_length,
        action_repeat=options.action_repeat,
        objective=options.objective,
    )


def _check_knobs(options: Options, env: Env, space: SearchSpace) -> None:
    """Refuses knobs that cannot be searched, or that would buy fitness."""
    if not env.knobs:
        return
    known = {*space, *architecture_space(), *offered_space(options.num_envs)}
    known |= {"distillation", "return"}  # a weight of the loss, a column
    if taken := [name for name in env.knobs if name in known]:
        raise BadInput(
            f"env_name: {options.env_name}: knobs: {taken[0]} is a word of ppo's, "
            "give another name",
            "env_name",
        )
    searched = [name for name in env.knobs if name not in options.fix]
    if not searched or options.search_mode == "nas":
        return
    if options.fitness == "concurrent" or (
        options.fitness == "training" and options.objective is None
    ):
        right = "evaluation, or training with --objective NAME"
        raise BadInput(
            f"fitness: {options.fitness} would rank members by what their knobs "
            f"({', '.join(searched)}) pay, give {right}",
            "fitness",
        )


def network_sizes(options: Options) -> Sizes:
    """Reads the depth and width of each block's network from the options.

    Args:
      options: of the run; `policy_layers` and `value_layers` say the sizes.
    """
    layers = {block: getattr(options, f"{block}_layers") for block in BLOCKS}
    return {block: (len(widths), widths[0]) for block, widths in layers.items()}


def ppo_task(
    options: Options, env: Env, *, space: SearchSpace, sizes: Sizes, spectral_norm: bool
) -> Task:
    """Builds PPO in an environment for chosen dimensions and sizes of networks.

    Args:
      options: everything else.
      env: from `make_env`.
      space: searched dimensions; the other hyperparameters have their defaults.
      sizes: depth and width of each block's network, the padding where they are
        searched.
      spectral_norm: whether it is built into the program, and on where it is not
        searched.
    """
    per_action = distribution_of(env).outputs_per_action
    output_sizes = {"policy": per_action * env.action_size, "value": 1}
    networks = {}
    fixed = spaces.defaults(_hyperparameters(options) | env.knobs)
    offered = offered_space(options.num_envs, options.discounting_scale)
    for block, (depth, width) in sizes.items():
        networks[block] = MLP(
            options.recurrent_units if options.recurrent else env.observation_size,
            output_sizes[block],
            depth,
            width,
            drawn_width=256,
            spectral_norm=spectral_norm,
        )
        fixed[f"{block}_depth"] = depth
        fixed[f"{block}_width"] = width
        fixed[f"{block}_spectral_norm"] = int(spectral_norm)
    return ppo(
        env,
        num_envs=options.num_envs,
        space=space,
        fixed=fixed,
        fitness=options.fitness,
        eval_episodes=options.eval_episodes,
        normalize_advantage=options.normalize_advantage,
        offered=offered | _hyperparameters(options) | env.knobs,
        objective=options.objective,
        recurrent_units=options.recurrent_units if options.recurrent else None,
        **networks,
    )
