#!/bin/sh
# Pins everything that `make install` installs, as name==version in constraints.txt. Needs uv.
# The file names no registry: whoever installs uses the one that their pip or uv is set up for.
set -eu
cd "$(dirname "$0")/.."
{
    echo "# What make install installs, pinned. Made by scripts/pin.sh; do not edit."
    uv pip compile --quiet --no-header --no-annotate --universal --python-version 3.11 \
        --no-emit-package windlass --no-emit-package windlass-engine \
        --group dev sdk/pyproject.toml services/pyproject.toml "$@"
    # The installer itself, for whoever has no uv.
    echo "pip==26.3"
} | grep -v '^-e \|^# The following' > constraints.txt.new
mv constraints.txt.new constraints.txt
