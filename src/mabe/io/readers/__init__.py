"""Readers: one module per file format, from a file to poses or annotations."""
