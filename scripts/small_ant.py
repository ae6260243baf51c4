"""What most scripts train: eight members of 64 ants with 2x64 networks.

In the quick form it is something tiny.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SMALL = {
    "env_name": "ant",
    "backend": "spring",
    "num_envs": 64,
    "pop_size": 8,
    "n_init": 8,
    "quantile_fraction": 0.25,
    "policy_layers": (64, 64),
    "value_layers": (64, 64),
    "t_ready": 24_000,
    "max_timesteps": 504_000,  # 21 rounds
    "eval_episodes": 4,
}
TINY = {
    "env_name": "fast",
    "backend": "spring",
    "num_envs": 32,
    "pop_size": 2,
    "n_init": 2,
    "quantile_fraction": 0.5,
    "policy_layers": (8, 8),
    "value_layers": (8, 8),
    "episode_length": 50,
    "t_ready": 1000,
    "max_timesteps": 3000,
    "eval_episodes": 2,
    "report_episodes": 4,
}
