"""What an engine does in the background."""

import threading

import numpy as np
import pytest
from toy_runs import P, keep_everyone, run_options
from toys import quadratic

from bgpbt.assembly.parts import make_plan
from bgpbt.execution.devices import choose_layout
from bgpbt.training import engine as engine_module
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
