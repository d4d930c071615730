"""Owns the table of RPCs and scopes in docs/security.md: writes it from the engine's own, or checks it.

`python scripts/security_table.py --write` or `--check`. That the engine does as the table says is what
tests/service/test_denials.py tries, cell by cell.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from windlass_core.domain.access import NEEDED, method_name

PAGE: Final = Path(__file__).parent.parent / "docs" / "security.md"

_BEGIN: Final = "<!-- Written by `make docs`; checked by `make verify`. -->\n"
_END: Final = "<!-- End of what `make docs` writes. -->\n"
_NOT_KNOWN: Final = "refused"


def table() -> str:
    """Write the table: a row for each RPC, a column for each kind of caller."""
    head = ["RPC", "needs", "no token, garbage, unknown", "expired", "revoked", "wrong scope", "other namespace"]
    rows = [
        [
            f"`{method_name(method)}`",
            " or ".join(f"`{scope}`" for scope in sorted(scopes)),
            *[_NOT_KNOWN] * 3,
            "denied, names it",
            "sees nothing of yours",
        ]
        for method, scopes in NEEDED.items()
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main(mode: str) -> int:
    """Write or check the table; 1 where it is not what the engine says."""
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    fresh = f"{before}{_BEGIN}\n{table()}\n{_END}{after}"
    if mode == "--write":
        PAGE.write_text(fresh, "utf-8")
        return 0
    if text != fresh:
        print("the table in docs/security.md is not what the engine does: run make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1:] not in (["--write"], ["--check"]):
        raise SystemExit("usage: security_table.py --write | --check")
    sys.exit(main(sys.argv[1]))
