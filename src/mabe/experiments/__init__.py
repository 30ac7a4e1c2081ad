"""Several runs together.

Cross-validation, the automatic recipe, ensembles, tuning, feature importance and the
checklist.
"""
