"""Proximal policy optimisation in Brax environments."""
