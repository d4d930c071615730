"""The command line, `windlass`. Owns its commands; what they do is done by the SDK and the engine.

Commands are declared in `commands`, one line of work each; the modules beside it are loaded when
their command runs, so that `windlass --help` is quick.
"""


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    from windlass.cli.commands import run_command_line

    run_command_line()
