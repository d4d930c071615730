"""Lets the reloader start a worker without knowing where the console script is."""

from windlass.cli import main

main()
