#!/bin/sh
# Fails where the committed stubs are not what proto/ gives.
set -eu
cd "$(dirname "$0")/.."
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
scripts/generate_stubs.sh "$fresh"
diff --recursive --brief --exclude=__init__.py --exclude=__pycache__ "$fresh/windlass/v1" sdk/windlass/v1 ||
    { echo 'the stubs are not what proto/ gives: run make proto and commit' >&2; exit 1; }
