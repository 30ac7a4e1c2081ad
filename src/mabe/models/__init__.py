"""Networks: features in, one logit for each class and frame out."""
