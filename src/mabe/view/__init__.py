"""The page in which predictions are reviewed: poses, timelines, corrections.

`desk` holds what is looked at, `server` answers the page, `guard` keeps others out,
`corrections` writes new annotation files. Nothing here needs torch: the desk is given a
function that looks at a recording.
"""
