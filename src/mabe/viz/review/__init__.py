"""The page in which predictions are reviewed: poses, timelines, corrections.

`session` holds the recordings under review, `server` answers the page, `access` checks
who asks, `corrections` writes new annotation files. Only `launch` needs torch: the
session is given a function that predicts a recording.
"""
