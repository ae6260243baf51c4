"""Agents that learn to design networks (nas-dmrl)."""
