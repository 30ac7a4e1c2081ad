"""What people look at: the report page, figures for papers and the review page."""
