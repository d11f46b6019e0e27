"""``python -m pathfuse``: the same as the command ``pathfuse``."""

import sys

from pathfuse.cli import main

if __name__ == "__main__":
    sys.exit(main())
