"""`python main.py` opens the app; with arguments it is the `ventriloquist` command."""

import sys

try:
    from ventriloquist.cli import main
except ModuleNotFoundError as missing:
    sys.exit(f"{missing.name} is not installed here. Run `make install`, then `.venv/bin/python main.py`.")

if __name__ == "__main__":
    main()
