"""Counts the words of files on this machine, on whatever workers the engine has.

    python -m examples.word_count docs/*.md

The engine is where WINDLASS_API_ADDRESS says. Start it, and a worker, first: docs/compose.md.
Where OTEL_EXPORTER_OTLP_ENDPOINT says where to, it sends its part of the trace.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

from examples.word_count.tasks import Page, app, count_words
from windlass import WindlassError, otel

_SHOWN: Final = 10


def main(names: list[str]) -> int:
    """Count the words of all these files, one run each, and print the most frequent ones."""
    otel.instrument(app)
    pages = [Page(text=Path(name).read_text("utf-8")) for name in names]
    began = time.monotonic()
    counts = count_words.run_many([count_words.create_bulk_run_item(page) for page in pages])
    seconds = time.monotonic() - began
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count.words)
    print(f"{total.total():,} words in {len(pages)} files, counted in {seconds:.2f} s; the most frequent ones:")
    for word, times in total.most_common(_SHOWN):
        print(f"  {times:5,}  {word}")
    return 0


if __name__ == "__main__":
    if not sys.argv[1:]:
        raise SystemExit("usage: python -m examples.word_count FILE...")
    try:
        sys.exit(main(sys.argv[1:]))
    except (WindlassError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    finally:
        app.close()
