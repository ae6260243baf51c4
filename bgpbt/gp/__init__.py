"""Gaussian-process regression over configurations, as pure functions.

Kernels, posterior, fit, trust region and acquisition; `bandit` puts them together.
"""
