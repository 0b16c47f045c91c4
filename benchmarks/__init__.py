"""Side-by-side measurements: `python -m benchmarks.NAME [--json] [--quick]`."""
