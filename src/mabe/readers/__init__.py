"""Readers: one file per format; files in, recordings out."""
