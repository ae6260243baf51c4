"""Counting what one optimizer step executes, in the text of a compiled training program."""

import re

from bgpbt.tasks.minibatches import LADDER

FREE = ("parameter", "constant", "tuple", "get-tuple-element", "bitcast")  # no work of their own
_HEAD = re.compile(r"^(?:ENTRY )?(%[\w.\-]+) \(.*\{$", re.MULTILINE)
_OPERATION = re.compile(r"^\s+(?:ROOT )?%[\w.\-]+ = .*?[\])}] ([a-z][\w\-]*)\(")
_STEP = re.compile(r"body=(%[\w.\-]+).*?op_name=\"[^\"]*branch_(\d+)_fun/while\"")
_CALLED = re.compile(r"(?:to_apply|body)=(%[\w.\-]+)")


def computations(text: str) -> dict[str, list[str]]:
    """The instructions of every computation, by its name."""
    heads = list(_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return {head[1]: text[head.end() : end].splitlines() for head, end in zip(heads, ends, strict=True)}


def operations(name: str, all_of: dict[str, list[str]]) -> int:
    """Instructions that one execution of a computation runs: a fusion is one, a call what is in it, a loop one round."""
    total = 0
    for line in all_of[name]:
        found = _OPERATION.match(line)
        if not found or found[1] in FREE:
            continue
        inner = _CALLED.search(line) if found[1] in ("call", "while") else None
        total += operations(inner[1], all_of) if inner else 1
    return total


def per_optimizer_step(text: str) -> dict[int, int]:
    """Instructions of the loop over minibatches, by the number of minibatches of a pass; rungs without a loop are missing."""
    all_of = computations(text)
    bodies = {LADDER[int(branch)]: body for body, branch in _STEP.findall(text)}
    return {rung: operations(body, all_of) for rung, body in sorted(bodies.items())}
