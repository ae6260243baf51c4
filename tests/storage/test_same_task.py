"""A run goes on with the task it began with: what is compared, what is said."""

import json
import shutil

import pytest
from toys import quadratic

from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.space import Float
from bgpbt.storage.provenance import describe_member, identity
from bgpbt.storage.same_task import (
    changed_files,
    check_same_task,
    with_recorded_direction,
)

TASK = quadratic()
ADVICE = "give another -n"


@pytest.fixture(scope="module")
def recorded():
    """What `run.json` says of a task in a file of the user's."""
    content = identity(Options(), TASK)
    return json.loads(json.dumps(content | {"member": describe_member(TASK)}))


def refusal(store, task) -> str:
    with pytest.raises(BadInput) as caught:
        check_same_task(store, task, ADVICE)
    message = str(caught.value)
    assert message.startswith(f"{store.path} holds a run ")
    assert message.endswith(f"; {ADVICE}") and "\n" not in message
    return message.removeprefix(f"{store.path} holds a run ")


def test_the_same_task_goes_on(stored_run, recorded):
    stored_run.write_json("run.json", recorded)
    check_same_task(stored_run, TASK, ADVICE)


def test_a_changed_space_is_named(stored_run, recorded):
    stored_run.write_json("run.json", recorded)
    changed = TASK.space | {"rate": Float(1e-3, 0.25, 0.05, log=True)}
    message = refusal(stored_run, TASK._replace(space=changed))
    assert message.startswith(
        "of another search space (rate: high 0.5 there, 0.25 here)"
    )
    fewer = {name: TASK.space[name] for name in ("weight", "rate")}
    message = refusal(stored_run, TASK._replace(space=fewer))
    assert "kind, first_width there, weight, rate here)" in message


def test_a_changed_direction_is_named(stored_run, recorded):
    stored_run.write_json("run.json", recorded)
    other = TASK._replace(minimise=True)
    assert "that maximises, the task here minimises;" in refusal(stored_run, other)
    assert with_recorded_direction(stored_run, other).minimise is False
    older = {k: v for k, v in recorded["task"].items() if k != "minimise"}
    stored_run.write_json("run.json", recorded | {"task": older})
    assert "that maximises, the task here minimises;" in refusal(stored_run, other)


def test_members_of_other_arrays_are_named(stored_run, recorded):
    member = recorded["member"]
    name, was = next(iter(member.items()))
    for saved, there in (
        (member | {name: "float16[9]"}, "float16[9]"),
        ({k: v for k, v in member.items() if k != name}, "nothing"),
    ):
        stored_run.write_json("run.json", recorded | {"member": saved})
        expected = f"of other members ({name}: {there} there, {was} here)"
        assert refusal(stored_run, TASK).startswith(expected)


def test_what_a_folder_does_not_say_is_not_compared(stored_run, recorded):
    other = TASK._replace(space={"weight": TASK.space["weight"]}, blocks=("first",))
    bare = {"schema": 2, "task": recorded["task"], "member": None}
    stored_run.write_json("run.json", bare)
    check_same_task(stored_run, other, ADVICE)
    for path in stored_run.path.rglob("run.json"):  # a folder of version 1
        path.unlink()
    flipped = other._replace(minimise=True)
    check_same_task(stored_run, flipped, ADVICE)
    assert with_recorded_direction(stored_run, flipped) is flipped


def test_a_folder_without_a_finished_round_is_not_compared(stored_run, recorded):
    stored_run.write_json("run.json", recorded)
    shutil.rmtree(stored_run.checkpoints)
    check_same_task(stored_run, TASK._replace(minimise=True), ADVICE)


def test_files_that_changed_are_told(stored_run, recorded):
    files = {"task": "one", "strategy": "two", "env_name": "three"}
    stored_run.write_json("run.json", recorded | {"files": files})
    now = {"task": "one", "strategy": "other"}
    (line,) = changed_files(stored_run, now)
    assert line.startswith("the file of strategy has changed since the run began")
