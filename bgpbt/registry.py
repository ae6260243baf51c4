"""Strategies, tasks, figures and environments by name: where the function of each lies.

It imports nothing.

A new one is a file and a line here; CONTRIBUTING.md says what belongs to it.
"""

# A strategy is built from (space, blocks); its keyword-only arguments are the settings
# that it takes.
STRATEGIES = {
    "pbt": "bgpbt.strategies.pbt:pbt",
    "bgpbt": "bgpbt.strategies.bgpbt:bgpbt",
    "pb2": "bgpbt.strategies.pb2:pb2",
    "pb2mix": "bgpbt.strategies.pb2mix:pb2mix",
    "mfpbt": "bgpbt.strategies.mfpbt:mfpbt",
    "ipbt": "bgpbt.strategies.ipbt:ipbt",
    "firepbt": "bgpbt.strategies.firepbt:firepbt",
    "pbtnas": "bgpbt.strategies.pbtnas:pbtnas",
    "mutation": "bgpbt.strategies.mutation:mutation",
    "sha": "bgpbt.strategies.sha:sha",
    "random": "bgpbt.strategies.random_search:random_search",
}
# Strategies whose populations hand their networks on to the next generation
# (-sm both, nas).
GENERATIONAL = ("pbt", "bgpbt")

# A task is built from the options.
TASKS = {
    "ppo": "bgpbt.tasks.ppo.agents:agents",
    "toy": "bgpbt.tasks.toy:toy",
    "classification": "bgpbt.tasks.vision.classification:classification",
    "nas": "bgpbt.tasks.nas.designing:designing",
}

# A figure that only some tasks have is drawn from the run and what `Task.figures` says.
# Its file in the run's folder is `NAME.png`.
FIGURES = {
    "designers": "bgpbt.viz.designers:designers",
    "best_design": "bgpbt.viz.network_drawing:best_design",
}

# An environment is built from its name by a function of a file in the folder `envs`.
ENVIRONMENTS = dict.fromkeys(
    (
        "ant",
        "fast",
        "fetch",
        "grasp",
        "halfcheetah",
        "hopper",
        "humanoid",
        "humanoidstandup",
        "inverted_double_pendulum",
        "inverted_pendulum",
        "pusher",
        "reacher",
        "swimmer",
        "ur5e",
        "walker2d",
    ),
    "brax:make",
) | {"goal": "goal:make"}
# Many environments behind one prefix, `-e PREFIX:NAME`: the function that builds one
# from its name.
ENVIRONMENT_FAMILIES = {
    "designs": "designs:make",
    "gymnax": "gymnax:make",
    "playground": "mujoco_playground:make",
}
# Packages whose environments a user's file may give: `wrap` in the file of `envs` with
# the package's name makes ours of them.
ENVIRONMENT_PACKAGES = ("brax", "gymnax", "mujoco_playground")
