"""The settings of a run, declared once: name, type, default, help and flags."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from bgpbt.config import parsers, search_space
from bgpbt.config.schedule import Schedule
from bgpbt.registry import ENVIRONMENTS, GENERATIONAL

# Decisions per environment of the rollout of every update, and so the longest unroll.
ROLLOUT_LENGTH = 15


class Declaration(NamedTuple):
    """What the command line knows of a setting."""

    group: str  # heading in the help
    flags: tuple[str, ...]  # beside `--name`
    bare: str | None  # what the flag means without a value


def _setting(
    group: str, default: Any, description: str, *flags: str, bare: str | None = None
) -> Any:
    """One declaration.

    Args:
      group: heading in the help.
      default: where nothing is given.
      description: one line of help.
      *flags: flags beside `--name`.
      bare: what the flag means without a value.
    """
    extra: Any = Declaration(group, flags, bare)._asdict()
    return Field(default, description=description, json_schema_extra=extra)


def declaration(name: str) -> Declaration:
    """How the setting `name` was declared, beside what pydantic knows of it."""
    extra: Any = Settings.model_fields[name].json_schema_extra
    return Declaration(**extra)


# What a strategy may take; a notice says which of these the chosen one does not.
METHOD = "how the strategy decides"
_problem = partial(_setting, "what is trained")
_search = partial(_setting, "how it is searched")
_method = partial(_setting, METHOD)
_budget = partial(_setting, "how long")
_network = partial(_setting, "member")
_fitness = partial(_setting, "fitness and report")
_distil = partial(_setting, "generations (-sm both, nas)")
_design = partial(_setting, "designed networks (-t nas)")
_place = partial(_setting, "where and on what it runs")


class Settings(BaseModel):
    """Every setting, and what follows from several of them. Frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    task: parsers.TaskName = _problem(
        "ppo", "what a member is and learns, or path/to/file.py:function", "-t"
    )
    problem: parsers.MaybeFolderName = _problem(
        None, "which of the task's problems; none: its first"
    )
    env_name: parsers.EnvName = _problem(
        "ant",
        "environment, gymnax:NAME, playground:NAME, or path/to/file.py:function",
        "-e",
    )
    backend: Literal["generalized", "positional", "spring", "mjx", "warp"] = _problem(
        "spring", "physics engine; warp is for playground:NAME alone", "-b"
    )
    alg_name: Literal["ppo", "sgd", "adam", "meta_a2c", "dqn", "uniform"] = _problem(
        "ppo",
        "how one member learns: agents by ppo, classifiers by sgd or adam, designers "
        "of networks by the others",
        "-a",
    )
    data_dir: parsers.MaybeText = _problem(
        None, "folder of the images that the problem needs; nothing is downloaded"
    )
    init_from: parsers.MaybeText = _problem(
        None, "folder of a run whose weights a new run begins with; none: fresh ones"
    )
    init_members: Literal["reported", "all"] = _problem(
        "reported",
        "init_from: whose weights, those of the reported member or each its own",
    )
    init_moments: bool = _problem(False, "init_from: the optimizer's state comes along")
    num_envs: parsers.Count = _problem(
        2048, "environments of each member, a multiple of 32"
    )
    episode_length: parsers.Count = _problem(
        1000, "steps after which an episode is cut"
    )
    action_repeat: parsers.Count = _problem(1, "steps for which an action is held")

    pop_size: parsers.PopSize = _search(8, "members of the population", "-ps")
    strategy: parsers.StrategyName = _search(
        "pbt",
        "what decides between rounds, or path/to/file.py:function",
        "-o",
        "--optimizer",
    )
    search_mode: Literal["hpo", "nas", "both"] = _search(
        "hpo", "what is searched: hyperparameters, architectures, both", "-sm"
    )
    arch_space: Literal["full", "small"] = _search(
        "full", "architectures: 1 to 5 layers of 32 to 256, or 1 to 2 of 32 to 64"
    )
    freeze: Annotated[
        Literal["sampled", "default"] | None,
        parsers.BeforeValidator(parsers.unless("none", None, parsers.unchanged)),
    ] = _search(
        None,
        "control: only weights are copied, configurations stay as sampled or default",
        bare="sampled",
    )
    discounting_scale: Literal["log", "log_complement"] = _search(
        "log",
        "discounting is searched in its own logarithm, or in that of 1 - discounting",
    )
    space: search_space.Changes = _search(
        {}, "ranges of your own: NAME=LOW:HIGH[:SCALE][:default=X], NAME=A,B"
    )
    fix: search_space.Values = _search(
        {}, "dimensions that are not searched: NAME=VALUE"
    )
    n_init: parsers.MaybeMembers = _search(
        None,
        "candidates of a generation; none: 24 or more for bgpbt, else the population",
        "-ni",
    )

    quantile_fraction: parsers.QuantileFraction = _method(
        0.125, "share of the members replaced after a round", "-qf"
    )
    exploit: Literal["truncation", "t_test", "tournament", "best"] = _method(
        "truncation", "pbt: who copies whom"
    )
    inherit: Literal["both", "weights", "hyperparameters"] = _method(
        "both", "pbt: what is copied"
    )
    explore: Literal["perturb", "resample", "both", "noise"] = _method(
        "perturb", "pbt: how a copied configuration changes"
    )
    perturb_scale: parsers.OpenShare = _method(
        0.2,
        "factors are 1 - scale and 1 + scale (mfpbt: 1 / (1 - scale)); "
        "noise: its standard deviation, of the range",
    )
    frequencies: parsers.Frequencies = _method(
        (1, 10, 25, 50), "mfpbt: rounds between two decisions of each sub-population"
    )
    categories: Literal["mix", "mult", "rand"] = _method(
        "mix",
        "pb2mix: bandits choose them, and the kernel compares them (mix) or each has a "
        "Gaussian process of its own (mult); or they are drawn anew (rand)",
    )
    interval: parsers.Count = _method(10, "firepbt: rounds between two decisions")
    eta: parsers.Eta = _method(
        2,
        "sha: 1 / eta of the members survive a rung, and each rung is eta times longer",
    )
    mixing: Literal["blocks", "none", "whole"] = _method(
        "blocks",
        "pbtnas: a child takes blocks of a second parent, or none; whole: every "
        "member's whole network is shrunk and perturbed",
    )
    mix_probability: parsers.Share = _method(
        0.25, "pbtnas: chance of each block to be mixed in"
    )
    shrink: parsers.Share = _method(0.4, "pbtnas: factor of weights that are mixed in")
    perturb: parsers.Share = _method(
        0.1, "pbtnas: factor of fresh weights added to them"
    )
    trust_region: bool = _method(
        True, "bgpbt, ipbt: search near the parent's configuration"
    )
    gp_time: bool = _method(True, "bgpbt, ipbt: forget old rounds")
    gp_context: bool = _method(
        True, "bgpbt, ipbt: take into account how good a member was before the round"
    )
    gp: Literal["jax", "gpytorch"] = _method(
        "jax", "bgpbt, ipbt: what does the Gaussian process's inference"
    )
    patience: parsers.Count = _method(
        20,
        "rounds without improvement that start the bandit anew, or end a generation",
    )

    t_ready: parsers.Count = _budget(
        1_000_000, "environment steps of a member in the first round", "-tr"
    )
    t_ready_end: parsers.MaybeCount = _budget(
        None,
        "steps in the last round, approached linearly; none: always t_ready",
        "-te",
    )
    max_timesteps: parsers.Count = _budget(
        150_000_000, "environment steps of a member in all", "-mt"
    )

    policy_layers: parsers.Layers = _network(
        (32,) * 4, "widths of the policy network, all equal"
    )
    value_layers: parsers.Layers = _network(
        (256,) * 5, "widths of the value network, all equal"
    )
    recurrent: bool = _network(
        False, "agents remember: an LSTM in front of each network"
    )
    recurrent_units: parsers.Width = _network(128, "units of each LSTM")
    normalize_advantage: bool = _network(
        True, "normalise advantages in every minibatch"
    )

    fitness: Literal["evaluation", "training", "concurrent"] = _fitness(
        "evaluation", "what members are ranked by"
    )
    objective: parsers.MaybeText = _fitness(
        None, "metric of an episode that members are ranked by; none: the return"
    )
    eval_episodes: parsers.Count = _fitness(8, "episodes of one evaluation")
    report_episodes: parsers.Count = _fitness(
        128, "fresh episodes of the final report, rounded up to whole evaluations"
    )
    report_every: parsers.MaybeCount = _fitness(
        None,
        "rounds from one fresh evaluation of the saved best to the next, for the "
        "records; none: only at the end",
    )
    minimise: bool = _fitness(
        False, "smaller fitness is better, as a task may say itself"
    )
    render: bool = _fitness(True, "write the best policy as a moving GIF")

    design_layers: parsers.DesignLayers = _design(10, "layers of a design at most")
    design_steps: parsers.Steps = _design(
        100, "decisions after which the design of a network is cut"
    )
    designs: Literal["chain", "branches"] = _design(
        "chain", "layers in a chain; or with branches, which pointers choose"
    )
    move_factor: parsers.Share = _design(
        0.0, "branches: factor of the reward of actions that move a pointer"
    )
    density_weight: parsers.Weight = _design(
        0.0, "taken from rewards in percent, times the log of connections per layer"
    )
    flops_weight: parsers.Weight = _design(
        0.0, "taken from rewards in percent, times the log of operations per image"
    )
    exploration_steps: parsers.Exploration = _design(
        8000, "dqn: decisions until random actions are rare; replay has half as many"
    )
    quirks: Literal["fixed", "forgetful", "reference"] = _design(
        "fixed",
        "as nas-dmrl's paper says; so, but the memory ends with an episode; or as its "
        "published code does",
    )
    evaluate_only: Annotated[
        Literal["sampled", "greedy"] | None,
        parsers.BeforeValidator(parsers.unless("none", None, parsers.unchanged)),
    ] = _design(
        None,
        "agents design and learn nothing; actions are drawn, or the best ones",
        bare="sampled",
    )
    reward_table: parsers.MaybeText = _design(
        None, "table of what chains are worth, .npz; none: networks are trained"
    )
    database: parsers.MaybeText = _design(
        None, "experiments that several runs share, .csv; none: those of the run"
    )
    image_side: parsers.ImageSide = _design(
        84, "side to which images are resized, pixels"
    )
    max_images: parsers.MaybeCount = _design(
        None, "most images of a data set; none: all"
    )
    filters: parsers.Width = _design(32, "filters of every convolution")
    norm: Literal["affine", "batch"] = _design(
        "affine", "of convolutions: a scale and an offset, or by the minibatch"
    )
    dense_units: parsers.Width = _design(1024, "units before the classifier")
    epochs: parsers.ChildEpochs = _design(12, "epochs for which a network is trained")
    child_batch_size: parsers.Minibatch = _design(128, "images of its minibatches")
    child_learning_rate: parsers.OpenShare = _design(1e-3, "its learning rate")

    t_distillation: parsers.Count = _distil(
        30_000_000, "steps of one distillation", "-td"
    )
    distill_every: parsers.Count = _distil(
        40_000_000, "steps after which a generation is forced", "-de"
    )
    max_distillation: parsers.Generations = _distil(
        2, "generations after the first", "-md"
    )
    arch_policy: Literal["random", "search"] = _distil(
        "search", "where new architectures come from"
    )

    seed: parsers.Seeds = _place((0,), "seeds, one run each: 0 1 2 or 0,1,2")
    save_dir: parsers.Folder = _place("runs", "folder of all runs")
    exp_name: parsers.MaybeFolderName = _place(
        None, "extra folder in the run's path", "-n"
    )
    existing_policy: Literal["overwrite", "resume"] = _place(
        "resume", "what to do with an existing run", "-exist"
    )
    save_every: parsers.Count = _place(1, "rounds from one checkpoint to the next")
    keep: parsers.Count = _place(2, "last checkpoints that stay")
    devices: parsers.MaybeDevices = _place(
        None, "devices the population is spread over; none: chosen"
    )
    max_parallel: Annotated[
        int | Literal["auto"],
        parsers.BeforeValidator(parsers.unless("auto", "auto", parsers.positive)),
    ] = _place("auto", "most members vmapped at once on a device", "-mp")
    no_cache: bool = _place(False, "keep no compiled programs between runs")
    tensorboard: bool = _place(False, "also write event files of TensorBoard's")
    verbose: bool = _place(False, "say more", "-v")

    @property
    def candidates(self) -> int:
        """Candidates of a generation, beside the best architectures of the past."""
        if self.n_init:
            return self.n_init
        return max(24, self.pop_size) if self.strategy == "bgpbt" else self.pop_size

    @property
    def generations(self) -> int:
        """How many generations may follow the first one."""
        if self.search_mode == "hpo" or self.strategy not in GENERATIONAL:
            return 0
        return self.max_distillation

    @property
    def too_short(self) -> bool:
        """Whether no distillation could end within `max_timesteps`."""
        schedule = self.schedule(self.update_steps)
        updates = schedule.round_updates(0)  # a generation begins after a round
        if self.candidates > self.pop_size:  # and the first round is the candidates'
            updates += schedule.round_updates(updates * self.update_steps)
        updates += schedule.updates_of(self.t_distillation)
        ends_in_time = updates * self.update_steps < self.max_timesteps
        return bool(self.generations) and not ends_in_time

    @property
    def method(self) -> str:
        """The strategy that decides between rounds.

        Without hyperparameters, the bandit has nothing to do.
        """
        without = self.strategy == "bgpbt" and self.search_mode == "nas"
        return "pbt" if without else self.strategy

    @property
    def run_label(self) -> str:
        """What is trained, in a word."""
        if self.task == "ppo":
            path = parsers.user_file(self.env_name)
            names = [Path(path).name] if path else []
            return "_".join([*names, base_name(self.env_name)])
        return "_".join(filter(None, [base_name(self.task), self.problem]))

    @property
    def has_backend(self) -> bool:
        """Whether the setting chooses the physics of the environment.

        It does in Brax; in Playground only `warp` does.
        """
        if self.in_brax:
            return True
        return self.env_name.startswith("playground:") and self.backend == "warp"

    @property
    def in_brax(self) -> bool:
        """Whether the environment is one of Brax by name."""
        return ENVIRONMENTS.get(self.env_name, "").startswith("brax:")

    @property
    def update_steps(self) -> int:
        """Steps of one update of a member, the least that a round can do.

        Of other tasks than `ppo` they are known when the task is built.
        """
        if self.task != "ppo":
            return 1
        return ROLLOUT_LENGTH * self.num_envs * self.action_repeat

    def schedule(self, timesteps_per_update: int) -> Schedule:
        """How long the rounds are, in updates of so many steps."""
        return Schedule(
            t_ready=self.t_ready,
            t_ready_end=self.t_ready if self.t_ready_end is None else self.t_ready_end,
            max_timesteps=self.max_timesteps,
            timesteps_per_update=timesteps_per_update,
        )


def base_name(word: str) -> str:
    """A name, or the function's name in `path/to/file.py:function`."""
    return word.rpartition(":")[2]
