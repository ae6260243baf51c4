"""What one optimizer step executes, counted in a compiled training program's text."""

import re

from bgpbt.tasks.ppo.minibatches import NUM_MINIBATCHES

# Instructions that do no work of their own.
FREE = ("parameter", "constant", "tuple", "get-tuple-element", "bitcast")
_HEAD = re.compile(r"^(?:ENTRY )?(%[\w.\-]+) \(.*\{$", re.MULTILINE)
_OPERATION = re.compile(r"^\s+(?:ROOT )?%[\w.\-]+ = .*?[\])}] ([a-z][\w\-]*)\(")
_STEP = re.compile(r"body=(%[\w.\-]+).*?op_name=\"[^\"]*branch_(\d+)_fun/while\"")
_CALLED = re.compile(r"(?:to_apply|body)=(%[\w.\-]+)")


def computations(text: str) -> dict[str, list[str]]:
    """The instructions of every computation, by its name."""
    heads = list(_HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return {
        head[1]: text[head.end() : end].splitlines()
        for head, end in zip(heads, ends, strict=True)
    }


def operations(name: str, all_of: dict[str, list[str]]) -> int:
    """Instructions that one execution of a computation runs.

    A fusion counts as one, a call as what is in it, a loop as one round of it.

    Args:
      name: of the computation.
      all_of: the instructions of every computation.
    """
    total = 0
    for line in all_of[name]:
        match = _OPERATION.match(line)
        if not match or match[1] in FREE:
            continue
        inner = _CALLED.search(line) if match[1] in ("call", "while") else None
        total += operations(inner[1], all_of) if inner else 1
    return total


def per_optimizer_step(text: str) -> dict[int, int]:
    """Instructions of the loop over minibatches, by the number of minibatches.

    Numbers whose branch has no loop are missing.

    Args:
      text: of the compiled training program.
    """
    all_of = computations(text)
    bodies = {
        NUM_MINIBATCHES[int(branch)]: body for body, branch in _STEP.findall(text)
    }
    return {number: operations(body, all_of) for number, body in sorted(bodies.items())}
