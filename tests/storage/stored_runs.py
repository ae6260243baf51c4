"""A run on disk, made without training: states, records and what must come back."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from bgpbt.config.errors import BadInput
from bgpbt.config.options import Options
from bgpbt.storage.schema import SCHEMA
from bgpbt.storage.store import RunStore
from bgpbt.storage.taking import check, take
from bgpbt.training.run_state import (
    ArchitectureHistory,
    Best,
    Generation,
    Progress,
    RunState,
)
from bgpbt.types import TrainState

MEMBERS = 2
IDENTITY = {"schema": SCHEMA, "id": "a1"}


class Memory(NamedTuple):
    """A strategy's state with what is awkward to save."""

    trust: np.float32  # a NumPy scalar
    count: jax.Array  # []
    empty: jax.Array  # of size zero
    flags: jax.Array  # bool
    nothing: tuple = ()


def state(number: int) -> RunState:
    """The state after round `number`; no array is equal to one of another round."""
    rng = np.random.default_rng(number)
    progress = Progress(
        **{name: np.array(number, np.int64) for name in Progress._fields}
        | {
            "config": rng.uniform(size=(MEMBERS, 3)).astype(np.float32),
        }
    )
    normal = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
    member = TrainState(
        params={
            "policy": [{"kernel": normal(MEMBERS, 3, 20), "bias": normal(MEMBERS, 20)}]
        },
        opt_state={"policy": (normal(MEMBERS, 60), ())},
        statistics={"count": jnp.full(MEMBERS, 2**24 + number, jnp.int32)},
        env_state={
            "key": jax.random.split(jax.random.PRNGKey(number), MEMBERS),
            "done": jnp.array([True, False]),
        },
    )
    memory = Memory(
        np.float32(number / 7),
        jnp.array(number),
        jnp.zeros((0, 4)),
        jnp.array([number % 2 == 0, True]),
    )
    fields = dict.fromkeys(Generation._fields, np.array(number))
    architectures = ArchitectureHistory(
        np.zeros((0, 6), np.float32), np.zeros(0), np.zeros(0, np.int64)
    )
    generation = Generation(**fields | {"architectures": architectures})
    best = Best(
        **dict.fromkeys(Best._fields, np.array(number))
        | {"state": member._replace(env_state=()), "fitness": np.array(number / 3)}
    )
    return RunState(progress, generation, (member,), best, (), memory)


def rows(number: int, members: int = MEMBERS) -> pd.DataFrame:
    """The records of a round; floats that need all their digits."""
    fitness = np.random.default_rng(number).normal(size=members) * 10.0 ** (number - 3)
    columns = {
        "round": number,
        "member": np.arange(members),
        "parent": np.arange(members),
        "source": "initial",
        "fitness": fitness,
        "rate": np.float32(fitness),
    }
    return pd.DataFrame(columns | {"timesteps": 10**12 + number})


def filled(path: Path, rounds: int = 4) -> RunStore:
    """A run with round 0 to `rounds - 1`."""
    store = RunStore(path)
    take(store, Options(num_envs=64), IDENTITY)
    for number in range(rounds):
        store.save(state(number), rows(number), {})
    return store


def restore(
    store: RunStore, template: RunState | None = None
) -> tuple[RunState, list[str]]:
    """The last state that can be used, as a resumed run reads it, and what is said."""
    restored = store.restore(lambda number: store.read(number, template or state(0)))
    lost = store.go_on_after(restored.round)
    return restored.state, [*restored.notices, *lost]


def lacks(what: str) -> str:
    """What is said of records that are lost."""
    return f"records.csv lacks {what}: figures and lineages are without them"


def contents(folder: Path) -> dict[Path, bytes]:
    """All files of a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def damaged(*numbers: int) -> list[str]:
    """What is said of damaged checkpoints."""
    return [
        f"the checkpoint of round {number} is damaged: an earlier one is used"
        for number in numbers
    ]


def expected_records(numbers) -> pd.DataFrame:
    """The records of some rounds."""
    return pd.concat([rows(number) for number in numbers], ignore_index=True)


def assert_records(store: RunStore, numbers) -> None:
    """To the bit; a float32 column is read back as the float64 of the same text."""
    records, lost = store.records()
    assert lost == []
    expected = expected_records(numbers)
    assert records.columns.tolist() == expected.columns.tolist()
    assert len(records) == len(expected)
    for name in ("round", "member", "timesteps", "source"):
        assert records[name].tolist() == expected[name].tolist()
        assert records[name].dtype.kind == expected[name].dtype.kind
    assert (
        records["fitness"].to_numpy().tobytes()
        == expected["fitness"].to_numpy().tobytes()
    )
    assert (
        records["rate"].to_numpy(np.float32).tobytes()
        == expected["rate"].to_numpy().tobytes()
    )


def refusal(store: RunStore, options: Options) -> str:
    """What `check` says against these settings: one line."""
    with pytest.raises(BadInput) as caught:
        check(store, options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)
