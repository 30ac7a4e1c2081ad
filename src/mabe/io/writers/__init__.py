"""Writers: one module per file format that predictions or labels are written in."""
