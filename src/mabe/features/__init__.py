"""Poses in, named features out: torch modules that are part of the model."""
