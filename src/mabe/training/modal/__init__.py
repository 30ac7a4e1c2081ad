"""Training on a GPU rented from Modal: data and code up, a run there, the run back.

Everything lies in one volume (see `volume.py`). Nothing here imports `modal`:
the scripts beside the README do, and hand their volume over.
"""
