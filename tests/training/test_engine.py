"""What an engine does in the background."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from generation_runs import STRATEGY, generation_options
from toy_runs import P, keep_everyone, run_options
from toys import quadratic

from bgpbt.assembly.parts import make_plan
from bgpbt.execution.background import BackgroundCompile
from bgpbt.execution.devices import choose_layout
from bgpbt.training import engine as engine_module
from bgpbt.training.transition import foresee_generation
from bgpbt.types import Outcome, Strategy


def test_a_strategy_is_prepared_before_its_first_step(tmp_path, monkeypatch):
    """The engine is made at once, the step waits, and no error is lost."""
    events = []
    may_end = threading.Event()

    def prepare(size):
        events.append(size)
        assert may_end.wait(60)
        events.append("ready")

    def step(key, state, outcome):
        events.append("step")
        return state, keep_everyone(outcome)

    monkeypatch.setattr(
        engine_module, "compile_in_background", lambda programs, *_: programs
    )
    slow = Strategy(lambda key, outcome: (), step, prepare=prepare)
    task = quadratic()
    plan = make_plan(run_options(tmp_path), task)
    layout = choose_layout(P, "auto")
    engine = engine_module.make_engine(plan, task, slow, layout)
    threading.Timer(0.2, may_end.set).start()
    outcome = Outcome(np.zeros((P, 2)), *[np.zeros(P)] * 5)
    engine.strategy.step(None, (), outcome)
    assert events == [P, "ready", "step"]

    broken = slow._replace(prepare=lambda size: 1 / 0)
    engine = engine_module.make_engine(plan, task, broken, layout)
    with pytest.raises(ZeroDivisionError):
        engine.strategy.step(None, (), None)


def test_the_first_round_is_compiled_before_what_comes_later(tmp_path, monkeypatch):
    """Its programs first, then the strategy, after the round the new generation."""
    begun = []

    class Named(BackgroundCompile):
        def __init__(self, make):
            super().__init__(lambda: make)
            self.name = make if isinstance(make, str) else make.__qualname__

        def begin(self):
            begun.append(self.name)
            return super().begin()

    names = (*engine_module.ROUND_PROGRAMS, "distil")
    monkeypatch.setattr(engine_module, "BackgroundCompile", Named)
    monkeypatch.setattr(
        engine_module,
        "compile_in_background",
        lambda programs, *_: programs._replace(**{name: Named(name) for name in names}),
    )
    task = quadratic()
    plan = make_plan(generation_options(tmp_path), task)
    layout = choose_layout(P, "auto")
    engine = engine_module.make_engine(plan, task, STRATEGY, layout, lambda *_: None)
    assert begun == []

    silent = SimpleNamespace(phase=lambda *_: None)
    paddings = np.zeros(1, int)
    engine_module.compile_for(engine, paddings, engine_module.ROUND_PROGRAMS, silent)
    once = list(dict.fromkeys(begun))  # waiting for a program begins it, too
    assert once == [*engine_module.ROUND_PROGRAMS, "_prepared.<locals>.make"]

    def foreseen(round_, number):
        begun.clear()
        progress = SimpleNamespace(round=np.array(round_), paddings=paddings)
        generation = SimpleNamespace(number=number)
        state = SimpleNamespace(progress=progress, generation=generation)
        foresee_generation(engine, state)
        return list(begun)

    assert foreseen(0, 0) == foreseen(1, plan.rules.max_generations) == []
    assert foreseen(1, 0) == ["_prepared_search.<locals>.make", "distil"]
