"""`-t ppo`: agents in a Brax environment, as the options describe them."""

from functools import partial

from bgpbt import space as spaces
from bgpbt.networks.mlp import MLP
from bgpbt.options import BadInput, Options
from bgpbt.space import SearchSpace
from bgpbt.strategies import GENERATIONAL
from bgpbt.tasks.learner import BLOCKS
from bgpbt.tasks.ppo import architecture_space, hyperparameter_space, ppo
from bgpbt.types import Task
from envs import ENVS, Env

WIDTHS = (64, 128, 256)  # padded sizes of networks: short, because every one has its own compiled programs
DEPTHS = {"full": 5, "small": 2}
Sizes = dict[str, tuple[int, int]]  # depth and width of each block's network


def make_env(options: Options) -> Env:
    """The environment of the options."""
    return ENVS[options.env_name](
        backend=options.backend, episode_length=options.episode_length, action_repeat=options.action_repeat
    )


def ppo_task(options: Options, env: Env, *, space: SearchSpace, sizes: Sizes, spectral_norm: bool) -> Task:
    """PPO in `env` with the networks given; everything else as the options say.

    Args:
      options: everything else.
      env: from `make_env`.
      space: searched dimensions; the other hyperparameters have their defaults.
      sizes: depth and width of each block's network, the padding where they are searched.
      spectral_norm: whether it is built into the program, and on where it is not searched.
    """
    names, outputs = ("depth", "width", "spectral_norm"), {"policy": 2 * env.action_size, "value": 1}
    built = {f"{b}_{name}": x for b in sizes for name, x in zip(names, (*sizes[b], int(spectral_norm)), strict=True)}
    mlps = {
        block: MLP(env.observation_size, outputs[block], depth, width, drawn_width=256, spectral_norm=spectral_norm)
        for block, (depth, width) in sizes.items()
    }
    return ppo(
        env,
        num_envs=options.num_envs,
        space=space,
        fixed=spaces.defaults(hyperparameter_space(options.num_envs, options.discounting_scale)) | built,
        fitness=options.fitness,
        eval_episodes=options.eval_episodes,
        normalize_advantage=options.normalize_advantage,
        **mlps,
    )


def layers_of(options: Options) -> Sizes:
    """Depth and width of each block's network, as `--policy_layers` and `--value_layers` say."""
    layers = {block: getattr(options, f"{block}_layers") for block in BLOCKS}
    return {block: (len(widths), widths[0]) for block, widths in layers.items()}


def agents(options: Options) -> Task:
    """The task that the options describe: PPO on a Brax environment.

    Raises:
      BadInput: another algorithm is asked for.
    """
    if options.alg_name != "ppo":
        raise BadInput(f"alg_name: {options.alg_name} trains classifiers, agents learn by ppo", "alg_name")
    learning = hyperparameter_space(options.num_envs, options.discounting_scale)
    task = partial(ppo_task, options, make_env(options))
    if options.search_mode == "hpo":
        return task(space=learning, sizes=layers_of(options), spectral_norm=False)
    widths, depth = WIDTHS[: 1 if options.arch_space == "small" else None], DEPTHS[options.arch_space]
    space = architecture_space(depth, widths[-1])
    task = partial(task, space=learning | space if options.search_mode == "both" else space, spectral_norm=True)
    if options.strategy not in GENERATIONAL:  # it may bring in an architecture at any round: there is room for all of them
        widths = widths[-1:]
    *ladder, largest = (task(sizes=dict.fromkeys(BLOCKS, (depth, width))) for width in widths)
    return largest._replace(ladder=tuple(ladder))
