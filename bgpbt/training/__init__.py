"""The loop: train, evaluate, decide, inherit, save."""
