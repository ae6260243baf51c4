"""Tasks by name. A new one is one file and one line here; each function takes the options. Nothing is imported here."""

TASKS = {
    "ppo": "bgpbt.tasks.agents:agents",
    "toy": "bgpbt.tasks.toy:toy",
    "classification": "bgpbt.tasks.classification:classification",
}
