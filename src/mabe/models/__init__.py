"""The model and its parts: networks, boosted trees, ensemble, checkpoint."""
