"""Gaussian-process regression over configurations, as pure functions: kernels, posterior, fit, trust region, acquisition."""
