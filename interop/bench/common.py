"""What the two engines share: arguments, timing, and the line of JSON that is printed."""

import argparse
import json
import os
import statistics
import sys
import time

HHI = 0.4
RATIO = 1.0
WITHOUT_EXPORTS = 9999.0
YEARS_NEEDED = 2


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("files", nargs="+", help="BACI CSV files, one a year")
    parser.add_argument("--input", choices=["csv", "memory"], default="csv",
                        help="csv: reading is measured too; memory: columns are loaded first")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    return parser.parse_args()


def missing(package):
    """Says loudly that nothing was measured; 77 is the exit code of a skipped test."""
    print(f"SKIPPED: the Python package {package} is not installed; "
          f"pip install -r {os.path.join(os.path.dirname(__file__), 'requirements.txt')}", file=sys.stderr)
    print(json.dumps({"engine": package, "skipped": "package not installed"}))
    sys.exit(77)


def measure(engine, threads, runs, run):
    """Runs once to warm up and `runs` times measured; `run` returns the checksum."""
    checksum = run()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        checksum = run()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({
        "engine": engine,
        "threads": threads,
        "median_s": statistics.median(seconds),
        "runs_s": sorted(seconds),
        "load_average": os.getloadavg(),
        "checksum": checksum,
    }))
