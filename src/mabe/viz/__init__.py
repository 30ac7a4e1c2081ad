"""Display of results: the report page, figures for papers and the review page."""
