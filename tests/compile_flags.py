"""Prints XLA's flags for the tests, which compile much and compute little.

Compiled so, they take about half their time. `make test-extras`, `make test-full` and
single files compile as users do.
"""

from importlib.metadata import version

FLAGS = [
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
]

# Newer versions have no other code generator, and refuse flags that they do not know.
if tuple(map(int, version("jax").split(".")[:2])) < (0, 11):
    FLAGS.append("--xla_cpu_use_fusion_emitters=false")

if __name__ == "__main__":
    print(*FLAGS)
