"""`mabe.measures` provides what a paper reports of bouts and poses, as tables."""
