"""Train V2 on this machine: `python train_local_5090.py [--max-sequences 10]`.

The same as `mabe train`, with configs/config_5090.yaml where no --config is given.
"""

import sys
from pathlib import Path

from mabe.cli.main import main

DEFAULT_CONFIG = Path(__file__).parent / "configs" / "config_5090.yaml"

if __name__ == "__main__":
    given = sys.argv[1:]
    chosen = any(word.split("=")[0] == "--config" for word in given)
    sys.exit(
        main(["train", *([] if chosen else ["--config", str(DEFAULT_CONFIG)]), *given])
    )
