"""Masked networks, whose sizes are traced values."""
