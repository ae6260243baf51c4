"""The Python interface: `run`, `run_seeds`, `open_run`, `dry_run`. `main.py` calls the same."""

import platform
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import pandas as pd

from bgpbt import contract, plots, records, versions
from bgpbt import space as spaces
from bgpbt.controller import train_population
from bgpbt.display import Display, number
from bgpbt.engine import Engine, make_engine
from bgpbt.gp.engines import engine as inference
from bgpbt.lookup import attempt, chosen, load, made
from bgpbt.options import BadInput, Options, load_options, short
from bgpbt.plan import describe, make_plan, returns_of
from bgpbt.population import Arrangement, arrange, cpu_devices
from bgpbt.report import report
from bgpbt.state import blank_state
from bgpbt.store import RunStore, folder, shapes_like
from bgpbt.strategies import STRATEGIES
from bgpbt.strategies.frozen import frozen
from bgpbt.tasks import TASKS, episodes
from bgpbt.types import NEEDS, RunState, Strategy, Task

GIF_SECONDS = 8.0  # of simulated time
FRAMES_PER_SECOND = 20


def make_task(options: Options) -> Task:
    """The task that the options name.

    Raises:
      BadInput: a file's task cannot be used, or the task has no such problem.
    """
    task = made("task", options.task, load("task", options.task, TASKS), Task, options)
    if options.task not in TASKS:
        contract.check_task(options.task, task)
    return task


def make_strategy(options: Options, task: Task) -> Strategy:
    """The strategy that the options name, frozen where they say so.

    Raises:
      BadInput: a file's strategy cannot be used, or this one cannot serve the task or the population.
    """
    if options.generations and options.arch_policy == "search":
        inference(options.gp)  # refuses what is not installed now, not at the first generation
    build = load("strategy", options.method, STRATEGIES)
    strategy = made("strategy", options.strategy, build, Strategy, task.space, task.blocks, **chosen(build, options))
    _check_fits(options, task, strategy)
    return frozen(strategy) if options.freeze else strategy


def _check_fits(options: Options, task: Task, strategy: Strategy) -> None:
    """Refuses a strategy that the task or the population cannot serve."""
    own = options.strategy not in STRATEGIES
    if own:
        contract.check_needs(options.strategy, strategy)
    genes = ~spaces.group_mask(task.space, "hyperparameter")
    has = {
        "hyperparameters": not genes.all(),
        "architectures": genes.any(),
        "continuous": any(d.group == "hyperparameter" and not isinstance(d, spaces.Categorical) for d in task.space.values()),
        "returns": "returns" not in strategy.needs or returns_of(task) > 1,
    }
    if options.search_mode != "hpo" and not has["architectures"]:
        text = f"search_mode: {options.search_mode} searches architectures, task {short(options.task)} has none, give -sm hpo"
        raise BadInput(text, "search_mode")
    if missing := [need for need in strategy.needs if not has[need]]:
        where = f"task {short(options.task)} with search_mode {options.search_mode}"
        raise BadInput(f"strategy: {short(options.strategy)} needs {NEEDS[missing[0]]}, {where} has none", "strategy")
    if complaint := attempt("strategy", options.strategy, "complaint", strategy.complaint, options.pop_size):
        raise BadInput(complaint, "strategy")
    if own:
        contract.check_strategy(options.strategy, strategy, task, options.pop_size)


@dataclass(frozen=True)
class Result:
    """A run as it lies on disk."""

    options: Options
    path: Path
    records: pd.DataFrame  # one row per round and member
    report: dict | None  # the final evaluation on fresh episodes, None for an unfinished run
    task: Task
    load: Callable[[], RunState]  # reads the last checkpoint

    @property
    def best(self) -> pd.Series:
        """The record of the reported member: highest fitness of all rounds after the first."""
        rows = self.records[self.records["round"] > 0]
        return rows.loc[rows["fitness"].idxmax()]

    @property
    def lineage(self) -> pd.DataFrame:
        """The records that the reported member's weights passed through, oldest first: its schedule."""
        return records.lineage(self.records, int(self.best["round"]), int(self.best["member"]))

    @property
    def drawable(self) -> bool:
        """Whether the task acts in an environment with bodies."""
        return self.task.context is not None and self.task.context[0].system is not None

    def policy(self) -> Callable[[jax.Array], jax.Array]:
        """The reported member's deterministic policy: observations `[..., O]` to actions `[..., A]` in [-1, 1]."""
        return jax.jit(self._mode(self.load()))

    def _mode(self, state: RunState) -> Callable[[jax.Array], jax.Array]:
        return self.task.context[1](state.best, spaces.decode(self.task.space, state.progress.best_config))

    def draw(self) -> list[Path]:
        """Draws the learning curve and the hyperparameter schedule. Returns their paths."""
        options, best = self.options, self.best
        title = title_of(options, self.path.name.replace("_", " "))
        winner = (int(best["round"]), int(best["member"]))
        curve, schedule = self.path / "learning_curve.png", self.path / "hyperparameter_schedule.png"
        plots.learning_curve(self.records, curve, title=title, measure=self.task.measure, report=self.report, winner=winner)
        limits = {name: (*map(float, spaces.limits(dim)), *_axis(dim)) for name, dim in self.task.space.items()}
        plots.hyperparameter_schedule(self.records, schedule, space_limits=limits, title=title, winner=winner)
        return [curve, schedule]

    def render(self, path: Path | None = None) -> Path:
        """Writes a moving GIF of one episode of the reported member. Returns its path.

        Raises:
          BadInput: the environment has no bodies to draw.
        """
        from bgpbt import render

        if not self.drawable:
            raise BadInput(f"{self.task.name}: there are no bodies to draw")
        env, _ = self.task.context
        per_decision = env.seconds_per_step * env.action_repeat
        decisions = max(1, round(1 / FRAMES_PER_SECOND / per_decision))
        seconds = decisions * per_decision
        count = max(2, round(min(GIF_SECONDS, env.episode_length * env.seconds_per_step) / seconds))
        state = self.load()
        key = jax.random.PRNGKey(int(state.progress.seed))
        position, rotation = episodes.film(key, env, self._mode(state), count, decisions)
        frames = render.render_frames(render.scene(env.system), position, rotation)
        path = path or self.path / "policy.gif"
        render.save_gif(frames, path, seconds_per_frame=seconds)
        return path


def _axis(dim: spaces.Dimension) -> tuple:
    """Whether a schedule of this dimension reads best on a logarithmic axis (0.9 to 0.9999 does not); names of categories."""
    match dim:
        case spaces.Float():
            return (dim.log and not dim.complement,)
        case spaces.Integer():
            return (dim.log or dim.doubling,)
        case _:
            return False, tuple(map(str, dim.choices))


def run(options: Options, task: Task | None = None, strategy: Strategy | None = None) -> Result:
    """Trains one population and leaves a run folder.

    Args:
      options: the settings, with one seed.
      task: instead of the one that `options` describes.
      strategy: instead of the one that `options` names.

    Raises:
      BadInput: settings, folder or versions cannot be used, and nothing was changed; or a strategy of one's own decides what
        cannot be done, and the last complete round stays saved.
      PopulationLost: all members failed in one round; the checkpoint before it is usable.
    """
    if len(options.seed) > 1:
        raise BadInput(f"seed: {len(options.seed)} seeds, give one or call run_seeds", "seed")
    return run_seeds(options, task, strategy)[0]


def run_seeds(options: Options, task: Task | None = None, strategy: Strategy | None = None) -> list[Result]:
    """`run` for every seed in turn, each in its own folder, with one compilation for all."""
    versions.check()
    stores = [RunStore(folder(options, seed)) for seed in options.seed]
    for store in stores:
        store.check(options)
    task = task or make_task(options)
    arrangement = arrange(options.pop_size, options.max_parallel, options.devices)
    ahead = not all(store.finished(options) for store in stores)
    engine = make_engine(options, task, strategy or make_strategy(options, task), arrangement, ahead=ahead)
    return [_run_one(engine, arrangement, seed, store) for seed, store in zip(options.seed, stores, strict=True)]


def title_of(options: Options, which: str) -> str:
    """What a run is, in a few words."""
    frozen = f" with {options.freeze} configurations" if options.freeze else ""
    return f"{options.subject}, {short(options.strategy)}{frozen}, {options.pop_size} members, {which}"


def _run_one(engine: Engine, arrangement: Arrangement, seed: int, store: RunStore) -> Result:
    options = engine.options
    with Display(title_of(options, f"seed {seed}"), options.max_timesteps, options.verbose) as display:
        display.notice(store.open(options.model_copy(update={"seed": (seed,)})))
        if store.finished(options):
            result = open_run(store.path, engine.task, engine.strategy)
        else:
            for line in [*store.stamp(environment(options, arrangement)), *arrangement_notices(options, arrangement)]:
                display.notice(line)
            state = train_population(engine, seed, store, display)
            display.phase("evaluating", "for the report")
            store.write_json("report.json", report(engine, state))
            result = _result(options, store, engine.task, lambda: state)
        display.phase("drawing")
        written = result.draw()
        if options.render and result.drawable:
            written.append(result.render())
        display.done([*summary(result.report), *(f"  {path}" for path in written)])
    return result


def summary(found: dict) -> list[str]:
    """The final report in words."""
    kind = "parts of unseen data" if found.get("unseen") else "fresh episodes"
    best, untrained = (f"{number(found[p + 'mean'])} (sd {number(found[p + 'sd'])})" for p in ("", "untrained_"))
    return [
        f"best untrained member: {untrained} on {kind}",
        f"reported member {found['member']} of round {found['round']}: {best} on {found['episodes']} {kind}",
    ]


def environment(options: Options, arrangement: Arrangement) -> dict:
    """What the same bits depend on, beside the settings."""
    names = ["jax", "jaxlib", "optax", "numpy"]
    names += {"ppo": ["brax"], "classification": ["flax", "sklearn"]}.get(options.task, [])
    names += ["torch", "gpytorch"] if options.gp == "gpytorch" else []
    found = {name: __import__(name).__version__ for name in names}
    device = jax.devices()[0]
    return {"python": platform.python_version(), **found, "device": device.device_kind, **arrangement._asdict()}


def arrangement_notices(options: Options, arrangement: Arrangement) -> list[str]:
    """What a person may want to know about how the population is spread."""
    if jax.default_backend() != "cpu":
        return []
    best = cpu_devices(options.pop_size)
    lines = []
    if arrangement.devices < best and options.devices is None:
        lines.append(
            f"one core works; for {best} call jax.config.update('jax_num_cpu_devices', {best}) before JAX's first operation"
        )
    if options.max_parallel not in ("auto", 1):
        lines.append("max_parallel: a CPU trains members one at a time, which is faster there")
    return lines


def _result(options: Options, store: RunStore, task: Task, load: Callable[[], RunState]) -> Result:
    return Result(options, store.path, store.records(), store.read_json("report.json"), task, load)


def open_run(path: str | Path, task: Task | None = None, strategy: Strategy | None = None) -> Result:
    """Opens a run folder, finished or not; changes nothing there.

    Args:
      path: the folder of one seed.
      task: the run's own, where it was not the one that its settings describe.
      strategy: likewise.

    Raises:
      BadInput: the folder holds no run.
    """
    store = RunStore(Path(path))
    if not store.rounds():
        raise BadInput(f"{path} holds no run with a finished round, give a folder such as runs/.../seed_0")
    options = load_options({}, store.path / "options.yaml")
    found = task or make_task(options)

    def load() -> RunState:
        arrangement = arrange(options.pop_size, options.max_parallel)
        engine = make_engine(options, found, strategy or make_strategy(options, found), arrangement, ahead=False)
        number, damaged = store.last_undamaged()
        if number is None:
            raise BadInput(f"{path}: every checkpoint is damaged")
        for bad in damaged:
            warnings.warn(f"{path}: the checkpoint of round {bad} is damaged, that of round {number} is read", stacklevel=3)
        return store.read(number, lambda layout: shapes_like(blank_state(engine, options.seed[0], layout)))

    return _result(options, store, found, load)


def dry_run(options: Options) -> str:
    """Validates all that a run would and says what it would do; compiles and writes nothing.

    Raises:
      BadInput: as `run`.
    """
    versions.check()
    stores = [RunStore(folder(options, seed)) for seed in options.seed]
    for store in stores:
        store.check(options)
    arrangement = arrange(options.pop_size, options.max_parallel, options.devices)
    task = make_task(options)
    make_strategy(options, task)
    plan = make_plan(options, task, arrangement)
    return describe(options, task, plan, arrangement, [store.outlook(options) for store in stores])
