"""A model used: windows and stitching, test-time augmentation, predict, evaluate."""
