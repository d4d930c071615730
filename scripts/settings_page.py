"""Owns docs/settings.md: writes it from the settings classes, or checks that it is what they say.

`python scripts/settings_page.py --write` or `--check`.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args, get_origin

from windlass.config import ClientConfig
from windlass_core.settings import ApiSettings, DispatcherSettings, SchedulerSettings, ServiceSettings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_settings import BaseSettings

PAGE: Final = Path(__file__).parent.parent / "docs" / "settings.md"

_HEAD: Final = """\
# Settings

<!-- Written by `make docs` from the settings classes, and checked by `make verify`: do not edit. -->

Every setting is an environment variable, or a line of a `.env` file in the working directory; the
environment wins. A wrong value is refused at the start, by name.
A duration is a number of seconds, or ISO 8601 as in `PT5M`.
"""


def page() -> str:
    """Write the whole page."""
    shared = set(ServiceSettings.model_fields)
    parts = [
        _HEAD,
        _section(
            "Clients and workers",
            "Also fields of `ClientConfig`, in lower case and without the prefix: "
            "`Windlass(config=ClientConfig(api_address=...))`.",
            ClientConfig,
        ),
        _section("All services", "", ServiceSettings),
        _section("The api", "`windlass api`", ApiSettings, shared),
        _section("The dispatcher", "`windlass dispatcher`", DispatcherSettings, shared),
        _section("The scheduler", "`windlass scheduler`", SchedulerSettings, shared),
    ]
    return "\n".join(parts)


def _section(title: str, text: str, settings: type[BaseSettings], leave_out: set[str] | None = None) -> str:
    rows = [
        f"| `WINDLASS_{name.upper()}` | {_default(field)} | {_description(name, field)} |"
        for name, field in settings.model_fields.items()
        if name not in (leave_out or set())
    ]
    lines = [f"## {title}", "", *([text, ""] if text else []), "| variable | default | what it is |", "|---|---|---|"]
    return "\n".join([*lines, *rows, ""])


def _description(name: str, field: FieldInfo) -> str:
    if not field.description:
        raise SystemExit(f"the setting {name} has no description")
    choices = [f"`{choice}`" for choice in _choices(field.annotation)]
    described = field.description.replace("|", "\\|").rstrip(".")
    mentioned = all(choice.strip("`") in described for choice in choices)
    return described if mentioned else f"{described}: {', '.join(choices)}"


def _choices(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Annotated:
        return _choices(get_args(annotation)[0])
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _default(field: FieldInfo) -> str:
    match field.default:
        case None | "":
            return "not set"
        case timedelta() as duration:
            return f"`{duration.total_seconds():g}`"
        case value:
            return f"`{value}`"


def main(mode: str) -> int:
    """Write or check the page; 1 where it is not what the classes say."""
    fresh = page()
    if mode == "--write":
        PAGE.write_text(fresh, "utf-8")
        return 0
    if not PAGE.is_file() or PAGE.read_text("utf-8") != fresh:
        print("docs/settings.md is not what the settings classes say: run make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1:] not in (["--write"], ["--check"]):
        raise SystemExit("usage: settings_page.py --write | --check")
    sys.exit(main(sys.argv[1]))
