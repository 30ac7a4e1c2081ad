"""One run: objectives and losses, the loop, the run directory; several GPUs, Modal."""
