"""An exported policy as an ONNX graph. https://onnx.ai"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from bgpbt.config.errors import BadInput
from bgpbt.files import write

OPSET = 17
BATCH = "batch"


def check_onnx() -> None:
    """Raises BadInput where ONNX is not installed."""
    if find_spec("onnx") is None:
        raise BadInput("ONNX is not installed here: pip install 'onnx>=1.17'")


def save_onnx(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Writes a policy as a graph in float32.

    Its input is `observations` `[batch, O]`, its output `actions`, `[batch, A]` or
    `[batch]`. With a memory, `cell` and `output` `[batch, H]` go in, zero when an
    episode begins, and `next_cell` and `next_output` come out.

    Args:
      arrays: of `policy_arrays`.
      path: of the file.

    Raises:
      BadInput: ONNX is not installed.
      NotSaved: the file cannot be written.
    """
    check_onnx()
    graph = _Graph(arrays)
    x = graph.observed()
    memory = "lstm_seen" in arrays
    if memory:
        x = graph.remembered(x)
    x = graph.perceived(x)
    graph.act(x)
    write(path, graph.model(memory).SerializeToString())


class _Graph:
    """Nodes in their order; each method adds some and names what they give."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        from onnx import helper, numpy_helper

        self._arrays = arrays
        self._helper = helper
        self._to_tensor = numpy_helper.from_array
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def _constant(self, name: str, value: Any = None) -> str:
        value = self._arrays[name] if value is None else value
        self._constants[name] = self._to_tensor(np.asarray(value, np.float32), name)
        return name

    def _add(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        name = to or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(
            self._helper.make_node(kind, list(inputs), [name], **attributes)
        )
        return name

    def observed(self) -> str:
        """Normalised observations."""
        x = self._add("Sub", "observations", self._constant("observation_mean"))
        x = self._add("Div", x, self._constant("observation_scale"))
        limit = float(self._arrays["observation_limit"])
        low, high = self._constant("low", -limit), self._constant("high", limit)
        return self._add("Clip", x, low, high)

    def remembered(self, x: str) -> str:
        """The LSTM's output."""
        seen = self._add(
            "Gemm", x, self._constant("lstm_seen"), self._constant("lstm_bias")
        )
        before = self._add("MatMul", "output", self._constant("lstm_before"))
        gates = [f"gate_{i}" for i in range(4)]
        both = self._add("Add", seen, before)
        self._nodes.append(self._helper.make_node("Split", [both], gates, axis=-1))
        enters, stays, leaves = (self._add("Sigmoid", gate) for gate in gates[:3])
        new = self._add("Tanh", gates[3])
        kept, added = self._add("Mul", stays, "cell"), self._add("Mul", enters, new)
        cell = self._add("Add", kept, added, to="next_cell")
        return self._add("Mul", leaves, self._add("Tanh", cell), to="next_output")

    def perceived(self, x: str) -> str:
        """What the layers give."""
        last = int(self._arrays["layers"]) - 1
        for i in range(last + 1):
            kernel, bias = self._constant(f"kernel_{i}"), self._constant(f"bias_{i}")
            x = self._add("Gemm", x, kernel, bias)
            x = self._activated(x) if i < last else x
        return x

    def _activated(self, x: str) -> str:
        which = str(self._arrays["activation"])
        if which == "silu":
            return self._add("Mul", x, self._add("Sigmoid", x))
        return self._add({"tanh": "Tanh", "relu": "Relu", "elu": "Elu"}[which], x)

    def act(self, x: str) -> None:
        """The actions without noise."""
        if self._arrays["actions"] == "numbers":
            self._add("Tanh", x, to="actions")
        else:
            self._add("ArgMax", x, to="actions", axis=-1, keepdims=0)

    def model(self, memory: bool) -> Any:
        """The whole graph, checked."""
        from onnx import TensorProto, checker

        def value(name: str, *sizes: int, kind: int = TensorProto.FLOAT) -> Any:
            shape = [BATCH, *sizes]
            return self._helper.make_tensor_value_info(name, kind, shape)

        arrays = self._arrays
        size = len(arrays["observation_mean"])
        inputs, outputs = [value("observations", size)], []
        if arrays["actions"] == "numbers":
            last = int(arrays["layers"]) - 1
            outputs.append(value("actions", len(arrays[f"bias_{last}"])))
        else:
            outputs.append(value("actions", kind=TensorProto.INT64))
        if memory:
            units = len(arrays["lstm_before"])
            inputs += [value("cell", units), value("output", units)]
            outputs += [value("next_cell", units), value("next_output", units)]
        constants = list(self._constants.values())
        graph = self._helper.make_graph(
            self._nodes, "policy", inputs, outputs, constants
        )
        opset = self._helper.make_opsetid("", OPSET)
        model = self._helper.make_model(graph, opset_imports=[opset], ir_version=8)
        checker.check_model(model)
        return model
