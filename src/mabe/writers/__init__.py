"""One file per format that `mabe` writes."""
