"""The command line of the faults: see the package."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Run as often as asked; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Kill servers and processes at work.")
    parser.add_argument("--kills", type=int, default=200, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="repeats what is chosen by chance")
    parser.add_argument("--engine", choices=("production", "embedded"), default="production", help="what is killed")
    parser.add_argument("--keep", action="store_true", help="leave the folder with every log")
    given = parser.parse_args()
    from faults.killing import Killing, on_a_line
    from faults.places import embedded, production

    folder = Path(tempfile.mkdtemp(prefix="nexus-faults-"))
    folder.chmod(0o755)  # Postgres is run by another user
    try:
        with (production if given.engine == "production" else embedded)(folder) as place:
            figures = asyncio.run(Killing(place, given.seed, on_a_line).kill(given.kills))
    finally:
        if given.keep:
            sys.stderr.write(f"left in {folder}\n")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.stderr.write("\n" if sys.stderr.isatty() else "")
    sys.stdout.write("\n".join(figures.lines()) + "\n")
    return 1 if figures.ledger.faults else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.exit(main())
