"""The report of a run: what there is to tell (`study`), and how it is shown (`page`).

Nothing here needs torch: lanes come in, one HTML file goes out.
"""
