"""Every setting of a run, declared once: name, type, default, help and short flags."""

import difflib
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bgpbt.strategies import GENERATIONAL, STRATEGIES
from bgpbt.tasks import TASKS
from bgpbt.tournament import how_many

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
TABLES = {"task": TASKS, "strategy": STRATEGIES}  # settings whose words are functions, the product's own or a person's
LONGEST_UNROLL = 15  # steps of the common rollout: the end of the searched range of `unroll_length`
LATER = {  # valid names whose time has not come; everything else among the choices works now
    "env_name": ("fetch", "grasp", "ur5e"),
}


class BadInput(ValueError):
    """A setting that cannot be used. The message is one line: what is wrong, where, and what would be right."""

    def __init__(self, message: str, field: str | None = None):
        super().__init__(" ".join(message.split()))
        self.field = field


class NotAvailable(BadInput):
    """A setting that is understood, but whose part of the project is not built yet."""


class PopulationLost(RuntimeError):
    """All members became non-finite in the same round, so that nobody is left to inherit from."""


def nearest(name: str, known: tuple[str, ...], otherwise: str | None = None) -> str:
    """Words for an error message: the known names closest to `name`; where none is close `otherwise`, or all."""
    close = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    return f"nearest: {', '.join(close)}" if close else otherwise or f"known: {', '.join(known)}"


def _real(value: Any) -> float:
    """A finite number from a number or its text: YAML reads `1e6` as text, and so does a command line."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{value!r} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a finite number")
    return number


def _whole(value: Any) -> int:
    number = _real(value)
    if number != int(number):
        raise ValueError(f"{value!r} is not a whole number (1_000_000 and 1e6 are)")
    if abs(number) >= 2**53:
        raise ValueError(f"{value!r} is too large to be counted exactly")
    return int(number)


def _count(value: Any) -> int:
    number = _whole(value)
    if number < 1:
        raise ValueError(f"{value!r} is not positive, give at least 1")
    return number


def _natural(value: Any) -> int:
    number = _whole(value)
    if number < 0:
        raise ValueError(f"{value!r} is negative, give at least 0")
    return number


def _share(value: Any, interval: str) -> float:
    """A number in an interval written as usual, such as `(0, 1]`."""
    number, (low, high) = _real(value), map(float, interval[1:-1].split(","))
    above = number > low or (number == low and interval[0] == "[")
    below = number < high or (number == high and interval[-1] == "]")
    if not (above and below):
        raise ValueError(f"{value!r} lies outside {interval}")
    return number


def _unless(word: str, meaning: Any, otherwise: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A validator that lets one word (and what it stands for) pass beside what `otherwise` accepts."""
    return lambda value: meaning if value is meaning or value == word else otherwise(value)


def _items(value: Any) -> list[Any]:
    """`0 1 2`, `0,1,2`, `{0,1,2}`, `[0, 1, 2]` or a list of such words, as a flat list."""
    values = value if isinstance(value, list | tuple) else [value]
    words = [v.translate(str.maketrans("{}[],", "     ")).split() if isinstance(v, str) else [v] for v in values]
    return [item for group in words for item in group]


def _seeds(value: Any) -> tuple[int, ...]:
    seeds = tuple(_whole(item) for item in _items(value))
    if not seeds:
        raise ValueError("no seed is given, write for example 0,1,2")
    if repeated := [seed for seed in seeds if seeds.count(seed) > 1]:
        raise ValueError(f"{repeated[0]} is given twice, each seed has its own folder")
    if outside := [seed for seed in seeds if not 0 <= seed < 2**32]:
        raise ValueError(f"{outside[0]} lies outside 0 .. {2**32 - 1}")
    return seeds


def _layers(value: Any) -> tuple[int, ...]:
    layers = tuple(_count(item) for item in _items(value))
    if not layers:
        raise ValueError("no layer is given, write for example 64,64")
    if len(set(layers)) > 1:
        given, right = ",".join(map(str, layers)), ",".join([str(max(layers))] * len(layers))
        raise ValueError(f"{given} has unequal widths, all layers share one, as in {right}")
    return layers


def _frequencies(value: Any) -> tuple[int, ...]:
    found = tuple(_count(item) for item in _items(value))
    if not found or list(found) != sorted(set(found)):
        raise ValueError(f"{','.join(map(str, found)) or value!r} does not rise strictly, write for example 1,10,25,50")
    return found


def _word(value: Any, name: str) -> str:
    """A word of one of `TABLES`, or `path/to/file.py:function`."""
    known = (*TABLES[name], *LATER.get(name, ()))
    path, _, function = str(value).rpartition(":")
    if value not in known and not (path.endswith(".py") and function.isidentifier()):
        raise ValueError(f"unknown {value!r}, {nearest(str(value), tuple(TABLES[name]))}, or path/to/file.py:function")
    return value


def _folder_name(value: Any) -> Any:
    if isinstance(value, str) and (value in ("", ".", "..") or set(value) & set("/\\\0")):
        raise ValueError(f"{value!r} is not the name of one folder")
    return value


Count = Annotated[int, BeforeValidator(_count)]
MaybeCount = Annotated[int | None, BeforeValidator(_unless("none", None, _count))]
Layers = Annotated[tuple[int, ...], BeforeValidator(_layers)]
Share = Annotated[float, BeforeValidator(partial(_share, interval="[0, 1]"))]


def _setting(group: str, default: Any, description: str, *flags: str, bare: str | None = None) -> Any:
    """One declaration; `flags` come beside `--name`, `bare` is what the flag means without a value."""
    return Field(default, description=description, json_schema_extra={"group": group, "flags": flags, "bare": bare})


_problem, _search, _budget = (partial(_setting, g) for g in ("what is trained", "how it is searched", "how long"))
_network, _fitness = (partial(_setting, g) for g in ("member", "fitness and report"))
METHOD = "how the strategy decides"  # what a strategy may take: a notice says where the chosen one does not
_method, _distil = (partial(_setting, g) for g in (METHOD, "generations (-sm both, nas)"))
_place = partial(_setting, "where and on what it runs")


class Options(BaseModel):
    """Every setting of a run. Frozen; saved in the run's folder, from where `-c` repeats the run.

    Raises:
      BadInput: a value is wrong, with one line that says what would be right.
      NotAvailable: a value is understood, but its part of the project is not built yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    task: Annotated[str, BeforeValidator(partial(_word, name="task"))] = _problem(
        "ppo", "what a member is and learns, or path/to/file.py:function", "-t"
    )
    problem: Annotated[str | None, BeforeValidator(_unless("none", None, _folder_name))] = _problem(
        None, "which of the task's problems; none: its first"
    )
    env_name: Literal[
        "ant", "fast", "fetch", "grasp", "halfcheetah", "hopper", "humanoid", "humanoidstandup",
        "inverted_double_pendulum", "inverted_pendulum", "pusher", "reacher", "ur5e", "walker2d",
    ] = _problem("ant", "environment", "-e")  # fmt: skip
    backend: Literal["generalized", "positional", "spring", "mjx"] = _problem("spring", "physics engine", "-b")
    alg_name: Literal["ppo", "sgd", "adam"] = _problem(
        "ppo", "how one member learns: agents by ppo, classifiers by the others", "-a"
    )
    data_dir: Annotated[str | None, BeforeValidator(_unless("none", None, lambda v: v))] = _problem(
        None, "folder of the images that the problem needs; nothing is downloaded"
    )
    num_envs: Count = _problem(2048, "environments of each member, a multiple of 32")
    episode_length: Count = _problem(1000, "steps after which an episode is cut")
    action_repeat: Count = _problem(1, "steps for which an action is held")

    pop_size: Count = _search(8, "members of the population", "-ps")
    strategy: Annotated[str, BeforeValidator(partial(_word, name="strategy"))] = _search(
        "pbt", "what decides between rounds, or path/to/file.py:function", "-o", "--optimizer"
    )
    search_mode: Literal["hpo", "nas", "both"] = _search("hpo", "what is searched: hyperparameters, architectures, both", "-sm")
    arch_space: Literal["full", "small"] = _search("full", "architectures: 1 to 5 layers of 32 to 256, or 1 to 2 of 32 to 64")
    freeze: Annotated[Literal["sampled", "default"] | None, BeforeValidator(_unless("none", None, lambda v: v))] = _search(
        None, "control: only weights are copied, configurations stay as sampled or default", bare="sampled"
    )
    discounting_scale: Literal["log", "log_complement"] = _search(
        "log", "discounting is searched in its own logarithm, or in that of 1 - discounting"
    )
    n_init: MaybeCount = _search(None, "candidates of a generation; none: 24 or more for bgpbt, else the population", "-ni")

    quantile_fraction: Annotated[float, BeforeValidator(partial(_share, interval="(0, 0.5]"))] = _method(
        0.125, "share of the members replaced after a round", "-qf"
    )
    exploit: Literal["truncation", "t_test", "tournament", "best"] = _method("truncation", "pbt: who copies whom")
    inherit: Literal["both", "weights", "hyperparameters"] = _method("both", "pbt: what is copied")
    explore: Literal["perturb", "resample", "both", "noise"] = _method("perturb", "pbt: how a copied configuration changes")
    perturb_scale: Annotated[float, BeforeValidator(partial(_share, interval="(0, 1)"))] = _method(
        0.2,
        "factors are 1 - scale and 1 + scale (mfpbt: 1 / (1 - scale)); noise: its standard deviation, of the range",
    )
    frequencies: Annotated[tuple[int, ...], BeforeValidator(_frequencies)] = _method(
        (1, 10, 25, 50), "mfpbt: rounds between two decisions of each sub-population"
    )
    eta: Count = _method(2, "sha: one of so many goes on at a rung, the rungs' lengths grow by it")
    mixing: Literal["blocks", "none", "whole"] = _method(
        "blocks", "pbtnas: blocks of the second parent, of the child itself, or everybody's whole networks"
    )
    mix_probability: Share = _method(0.25, "pbtnas: chance of each block to be mixed in")
    shrink: Share = _method(0.4, "pbtnas: factor of weights that are mixed in")
    perturb: Share = _method(0.1, "pbtnas: factor of fresh weights added to them")
    trust_region: bool = _method(True, "bgpbt: search near the parent's configuration")
    gp_time: bool = _method(True, "bgpbt: forget old rounds")
    gp_context: bool = _method(True, "bgpbt: take into account how good a member was before the round")
    gp: Literal["jax", "gpytorch"] = _method("jax", "bgpbt: what does the Gaussian process's inference")
    patience: Count = _method(20, "rounds without improvement that start the bandit anew, or end a generation")

    t_ready: Count = _budget(1_000_000, "environment steps of a member in the first round", "-tr")
    t_ready_end: MaybeCount = _budget(None, "steps in the last round, approached linearly; none: always t_ready", "-te")
    max_timesteps: Count = _budget(150_000_000, "environment steps of a member in all", "-mt")

    policy_layers: Layers = _network((32,) * 4, "widths of the policy network, all equal")
    value_layers: Layers = _network((256,) * 5, "widths of the value network, all equal")
    normalize_advantage: bool = _network(True, "normalise advantages in every minibatch")

    fitness: Literal["evaluation", "training", "concurrent"] = _fitness("evaluation", "what members are ranked by")
    eval_episodes: Count = _fitness(8, "episodes of one evaluation")
    report_episodes: Count = _fitness(128, "fresh episodes of the final report, rounded up to whole evaluations")
    render: bool = _fitness(True, "write the best policy as a moving GIF")

    t_distillation: Count = _distil(30_000_000, "steps of one distillation", "-td")
    distill_every: Count = _distil(40_000_000, "steps after which a generation is forced", "-de")
    max_distillation: Annotated[int, BeforeValidator(_natural)] = _distil(2, "generations after the first", "-md")
    arch_policy: Literal["random", "search"] = _distil("search", "where new architectures come from")

    seed: Annotated[tuple[int, ...], BeforeValidator(_seeds)] = _place((0,), "seeds, one run each: 0 1 2 or 0,1,2")
    save_dir: Annotated[str, Field(min_length=1)] = _place("runs", "folder of all runs")
    exp_name: Annotated[str | None, BeforeValidator(_unless("none", None, _folder_name))] = _place(
        None, "extra folder in the run's path", "-n"
    )
    existing_policy: Literal["overwrite", "resume"] = _place("resume", "what to do with an existing run", "-exist")
    devices: MaybeCount = _place(None, "devices the population is spread over; none: chosen")
    max_parallel: Annotated[int | Literal["auto"], BeforeValidator(_unless("auto", "auto", _count))] = _place(
        "auto", "most members vmapped at once on a device", "-mp"
    )
    no_cache: bool = _place(False, "keep no compiled programs between runs")
    verbose: bool = _place(False, "say more", "-v")

    def __init__(self, **values: Any):
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _one_line(error) from None

    @model_validator(mode="after")
    def _fits_together(self) -> "Options":
        for check in (_check_population, _check_budget, _check_freeze, _check_generations, _check_available):
            check(self)
        return self

    @property
    def candidates(self) -> int:
        """Of every generation, beside the best architectures of the past: `n_init`, else the strategy's own number."""
        return self.n_init or (max(24, self.pop_size) if self.strategy == "bgpbt" else self.pop_size)

    @property
    def generations(self) -> int:
        """How many generations may follow the first one."""
        return 0 if self.search_mode == "hpo" or self.strategy not in GENERATIONAL else self.max_distillation

    @property
    def too_short(self) -> bool:
        """Whether no distillation could end within `max_timesteps`, so that the first generation stays the only one."""

        def whole(steps: int) -> int:
            return steps // self.update_steps * self.update_steps

        earliest = whole(self.t_ready)  # a generation begins after a round of training
        if self.candidates > self.pop_size:  # and the first round is the candidates'
            earliest += whole(self.t_ready_at(earliest))
        return bool(self.generations) and earliest + whole(self.t_distillation) >= self.max_timesteps

    @property
    def method(self) -> str:
        """The strategy that decides between rounds: without hyperparameters the bandit has nothing to do."""
        return "pbt" if self.strategy == "bgpbt" and self.search_mode == "nas" else self.strategy

    @property
    def subject(self) -> str:
        """What is trained, in a word."""
        return self.env_name if self.task == "ppo" else "_".join(filter(None, [short(self.task), self.problem]))

    @property
    def update_steps(self) -> int:
        """Steps of one update of a member, the least that a round can do; of other tasks than `ppo` known when built."""
        return LONGEST_UNROLL * self.num_envs * self.action_repeat if self.task == "ppo" else 1

    def t_ready_at(self, timesteps: int) -> int:
        """Steps of the round that starts at `timesteps`: linear from `t_ready` to `t_ready_end`."""
        end = self.t_ready if self.t_ready_end is None else self.t_ready_end
        share = min(int(timesteps), self.max_timesteps) / self.max_timesteps
        return int(self.t_ready + (end - self.t_ready) * share)

    def to_yaml(self) -> str:
        """All settings as YAML; `load_options` on that text gives equal options."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def save(self, path: Path) -> None:
        """Writes all settings, so that `-c path` repeats the run. Raises OSError where that is not possible."""
        Path(path).write_text("# python main.py -c on this file repeats the run\n" + self.to_yaml(), encoding="utf-8")


def short(word: str) -> str:
    """A word of one of `TABLES`, or the function's name in `path/to/file.py:function`."""
    return word.rpartition(":")[2]


def choices(name: str) -> tuple[str, ...]:
    """The words that the setting `name` can take, () where it takes something else."""
    if name in TABLES:
        return (*TABLES[name], *LATER.get(name, ()))
    found = get_args(Options.model_fields[name].annotation)
    return tuple(word for item in found for word in (get_args(item) or [item]) if isinstance(word, str))


def available(name: str) -> tuple[str, ...]:
    """The words that the setting `name` can take now."""
    return tuple(word for word in choices(name) if word not in LATER.get(name, ()))


def _one_line(error: ValidationError) -> BadInput:
    first = error.errors(include_url=False)[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, BadInput):
        return cause
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return BadInput(f"unknown setting {name!r}, {nearest(name, tuple(Options.model_fields))}", name)
    if first["type"] == "literal_error":
        return BadInput(f"{name}: unknown {first['input']!r}, {nearest(str(first['input']), available(name))}", name)
    problem = cause or f"{first['msg']}, not {first['input']!r}"
    return BadInput(f"{name}: {problem}", name)


def _check_population(options: Options) -> None:
    size = options.pop_size
    if size < 2:
        raise BadInput(f"pop_size: {size} is no population, give at least 2", "pop_size")
    if options.candidates < size:
        raise BadInput(f"n_init: {options.n_init} is below pop_size {size}, give at least {size}", "n_init")
    if options.strategy == "random" and options.candidates > size:
        text = f"n_init: {options.n_init} candidates for {size} members is successive halving, not random search"
        raise BadInput(f"{text}; give {size}", "n_init")
    if options.devices is not None and size % options.devices:
        text = f"devices: {options.devices} devices cannot share {size} members equally, give a divisor of {size}"
        raise BadInput(text, "devices")


def _check_budget(options: Options) -> None:
    if options.num_envs % 32:
        below, above = options.num_envs // 32 * 32 or 32, (options.num_envs // 32 + 1) * 32
        near = f"{below} or {above}" if below < above else above
        raise BadInput(f"num_envs: {options.num_envs} is no multiple of 32, give {near}", "num_envs")
    for name in ("t_ready", "t_ready_end"):
        steps, least = getattr(options, name), options.update_steps
        if steps is not None and steps < least:
            text = f"{name}: {steps} steps are less than one update of {options.num_envs} environments"
            raise BadInput(f"{text}, give at least {least}", name)
    if options.t_ready_end is not None and options.t_ready_end > options.t_ready:
        text = f"t_ready_end: {options.t_ready_end} is above t_ready, give at most {options.t_ready}"
        raise BadInput(text, "t_ready_end")
    if options.max_timesteps < options.t_ready:
        text = f"max_timesteps: {options.max_timesteps} is less than one round, give at least {options.t_ready}"
        raise BadInput(text, "max_timesteps")


def _check_freeze(options: Options) -> None:
    if options.freeze is None:
        return
    if options.search_mode != "hpo":
        raise BadInput(f"freeze: keeps configurations, search_mode {options.search_mode} changes them; give -sm hpo", "freeze")
    if options.strategy == "pbt" and options.inherit == "hyperparameters":
        raise BadInput("inherit: with freeze only weights travel, give weights or both", "inherit")


def _check_generations(options: Options) -> None:
    if options.search_mode == "hpo":
        return
    least = how_many(options.candidates + options.generations, options.pop_size) * options.update_steps
    if options.generations and options.t_distillation < least:
        text = f"t_distillation: {options.t_distillation} steps are less than one update of every rung, give at least {least}"
        raise BadInput(text, "t_distillation")


def _check_available(options: Options) -> None:
    """Last of the checks, so that what is not built yet is nevertheless understood to the last flag."""
    missing = [name for name, words in LATER.items() if getattr(options, name) in words]
    if missing:
        wanted = ", ".join(f"{name} {getattr(options, name)}" for name in missing)
        now = "; ".join(f"{name} {', '.join(available(name))}" for name in missing)
        raise NotAvailable(f"not available yet: {wanted} (available now: {now})", missing[0])


def _read(path: Path) -> dict[str, Any]:
    """The settings in a YAML file, their names checked."""
    try:
        text = path.read_text(encoding="utf-8")
        node, values = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise BadInput(f"{path}: not readable as YAML{where}: {getattr(error, 'problem', None) or error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not readable: {getattr(error, 'strerror', None) or error}") from None
    if values is None:  # nothing but comments
        return {}
    if not isinstance(values, dict):
        raise BadInput(f"{path}: not a mapping, write one `name: value` a line")
    names = [key.value for key, _ in node.value]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadInput(f"{path}: {', '.join(twice)} given twice, keep one")  # YAML itself would keep the last
    known = tuple(Options.model_fields)
    for key in values:
        if key not in known:
            raise BadInput(f"{path}: unknown setting {str(key)!r}, {nearest(str(key), known)}")
    return values


def load_options(argv_values: dict[str, Any], config: Path | None = None) -> Options:
    """Merges the defaults, `configs/ppo/<env_name>.yaml` or `configs/<task>.yaml`, the file `config` and the command line.

    Later ones win.

    Args:
      argv_values: values by setting, texts or numbers.
      config: YAML file that names only settings, or None.

    Raises:
      BadInput: a file or a value is wrong; the line names the file it came from.
      NotAvailable: a value is understood, but its part of the project is not built yet.
    """
    chosen = _read(Path(config)) if config is not None else {}
    task, env_name = ((chosen | argv_values).get(name, Options.model_fields[name].default) for name in ("task", "env_name"))
    own = CONFIGS / "ppo" / f"{env_name}.yaml" if task == "ppo" else CONFIGS / f"{task}.yaml"
    known = env_name in choices("env_name") if task == "ppo" else task in choices("task")
    usual = _read(own) if known and own.is_file() else {}
    origin = dict.fromkeys(usual, own) | dict.fromkeys(chosen, config) | dict.fromkeys(argv_values)
    try:
        return Options(**(usual | chosen | argv_values))
    except BadInput as error:
        source = origin.get(error.field)
        raise type(error)(f"{source}: {error}" if source else str(error), error.field) from None
