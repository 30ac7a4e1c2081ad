"""Poses of all recordings as one store, splits, samplers and simulated recordings."""
