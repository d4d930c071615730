"""Owns what `make verify` asks of the pages: that what they point at is there.

Relative links and their anchors, paths of this repository in `code`, `make` targets, and
`windlass` commands. Whether the prose is true is left to whoever reads it.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from windlass.cli.commands import app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typer import Typer

ROOT: Final = Path(__file__).resolve().parent.parent

_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE: Final = re.compile(r"`([^`\n]+)`")
_TOP_LEVEL: Final = ["proto", "sdk", "services", "tests", "bench", "docs", "examples", "scripts", "changes", "deploy"]
_PATH: Final = re.compile(rf"^(?:{'|'.join(_TOP_LEVEL)})/[\w./-]*$")
_FENCE: Final = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_SHELL: Final = re.compile(r"^```(?:console|sh)\n.*?^```", re.MULTILINE | re.DOTALL)
_MAKE: Final = re.compile(r"(?:^|[`$ ])make ([a-z-]+)")
_COMMAND: Final = re.compile(r"(?:^|[`$ /])windlass ([a-z][a-z-]*)(?: ([a-z]+))?", re.MULTILINE)


def pages() -> list[Path]:
    """List the pages of this repository; node_modules and folders that begin with a dot are the tools'."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "node_modules"]
        found += [Path(folder, name) for name in files if name.endswith(".md")]
    return sorted(found)


def anchors(page: Path) -> set[str]:
    """List the anchors of a page's headings, as code hosts make them."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def wrong_links(page: Path, text: str) -> Iterator[str]:
    """Yield each relative link that leads nowhere."""
    for target in _LINK.findall(text):
        if re.match(r"^[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path) if path else page
        if not found.exists():
            yield f"link to {target}: there is no such file"
        elif anchor and found.suffix == ".md" and anchor not in anchors(found):
            yield f"link to {target}: there is no such heading"


def wrong_paths(text: str) -> Iterator[str]:
    """Yield each path in `code` that is not there."""
    for code in _CODE.findall(text):
        if "NAME" not in code and _PATH.match(code) and not (ROOT / code).exists():
            yield f"path {code}: there is no such file"


def wrong_commands(text: str) -> Iterator[str]:
    """Yield each make target and each windlass command, typed in a shell, that does not exist."""
    code = "\n".join([*_SHELL.findall(text), *(f"`{each}`" for each in _CODE.findall(text))])
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for target in _MAKE.findall(code):
        if target not in targets:
            yield f"make {target}: there is no such target"
    groups = {group.name: names(group.typer_instance) for group in app.registered_groups if group.typer_instance}
    commands = names(app) | groups.keys()
    for command, second in _COMMAND.findall(code):
        if command not in commands:
            yield f"windlass {command}: there is no such command"
        elif second and second not in groups.get(command, {second}):
            yield f"windlass {command} {second}: there is no such command"


def names(commands: Typer) -> set[str]:
    """List the names under which commands are typed."""
    return {
        command.name or (command.callback.__name__ if command.callback else "")
        for command in commands.registered_commands
    }


def main() -> int:
    """Print each thing that is wrong; 1 where there is one."""
    wrong = []
    for page in pages():
        text = page.read_text("utf-8")
        found = [*wrong_links(page, _FENCE.sub("", text)), *wrong_paths(text), *wrong_commands(text)]
        wrong += [f"{page.relative_to(ROOT)}: {each}" for each in found]
    for each in wrong:
        print(each, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
