"""Commands: each parses its options, calls one library function and prints."""
