"""Films with what was tracked, predicted and annotated drawn into them.

Films are read and written frame by frame, so that memory does not grow with length.
"""
