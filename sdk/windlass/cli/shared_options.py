"""Owns how several commands have the same options: they are said once, by the function that reads them."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

Command = Callable[..., None]


def with_options(read: Callable[..., Any]) -> Callable[[Command], Command]:
    """Give a command the options that `read` takes, in the place of `wanted`, which is what `read` makes of them."""
    options = inspect.signature(read).parameters

    def give(command: Command) -> Command:
        @functools.wraps(command)
        def run(**given: Any) -> None:
            wanted = read(**{name: given.pop(name) for name in options})
            command(wanted=wanted, **given)

        parameters: list[inspect.Parameter] = []
        for each in inspect.signature(command).parameters.values():
            parameters += options.values() if each.name == "wanted" else [each]
        # What typer reads of a command.
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions may have one
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return give
