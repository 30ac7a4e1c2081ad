"""Worker processes that end with their parent, however it ends."""

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """Watch the parent process from a thread, and leave when it is gone."""

    def watch() -> None:
        if (parent := multiprocessing.parent_process()) is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
