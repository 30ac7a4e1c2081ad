"""The report of a run: what it contains (`contents`) and how it is drawn (`page`).

Only `gather` needs torch: predictions of views come in, one HTML file goes out.
"""
