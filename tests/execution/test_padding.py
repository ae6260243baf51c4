"""Members in other groups and in other paddings."""

import numpy as np
from toy_programs import TASK, P, member, train
from toys import same_bits

from bgpbt.execution.devices import DeviceLayout
from bgpbt.execution.padding import regroup, resize_padding


def test_a_new_group_takes_members_of_several(programs, config, population):
    others = train(programs, config, rounds=2)[0]
    members = np.array([0, 15, 8, 3, 3, 9, 7, 12], np.int32)
    group = regroup((population, others), members, TASK, DeviceLayout(1, 1))
    for slot, index in enumerate(members):
        expected = member(population if index < P else others, index % P)
        assert same_bits(member(group, slot), expected)


def test_padding_is_appended_and_cut_at_the_end_of_an_axis():
    small = {"a": np.ones((2, 3)), "n": np.int32(4)}
    large = {"a": np.zeros((3, 5)), "n": np.int32(0)}
    grown = resize_padding(small, large)
    assert grown["n"] == 4 and grown["a"].shape == (3, 5)
    assert grown["a"].sum() == 6 and grown["a"][:2, :3].all()
    assert same_bits(resize_padding(grown, small), small)
    several = resize_padding({"a": np.ones((7, 2, 3)), "n": np.arange(7)}, large)
    assert several["a"].shape == (7, 3, 5) and list(several["n"]) == list(range(7))
