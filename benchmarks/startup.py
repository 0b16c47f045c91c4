"""How fast the command line starts: `ventriloquist --help` against `python -c pass`, CPU time."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.measuring import at_most, cpu_of, interleave, options, report

HELP_GOAL = 6.0


def main() -> int:
    as_json, quick = options(sys.argv[1:])
    program = Path(sys.executable).with_name("ventriloquist")
    ours, theirs = interleave(
        lambda: cpu_of([str(program), "--help"]),
        lambda: cpu_of([sys.executable, "-c", "pass"]),
        rounds=7 if quick else 21,
    )
    return report([at_most("ventriloquist --help", ours, theirs, "CPU seconds", HELP_GOAL)], as_json=as_json)


if __name__ == "__main__":
    sys.exit(main())
