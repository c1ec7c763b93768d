"""Writes the reference pages, or says which ones are out of date."""

from __future__ import annotations

import argparse
import sys

from scripts.reference_pages.pages import outdated, write_all


def main() -> int:
    """The command line.

    Returns:
        0, or 1 when ``--check`` finds pages that are out of date.
    """
    parser = argparse.ArgumentParser(prog="python -m scripts.reference_pages", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is out of date")
    args = parser.parse_args()
    if not args.check:
        for path in write_all():
            print(path)
        return 0
    old = outdated()
    if old:
        print(f"Out of date: {', '.join(old)}; run python -m scripts.reference_pages.", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
