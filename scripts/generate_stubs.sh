#!/bin/sh
# Generates the Python stubs of proto/ into the folder given, as windlass/v1 below it.
set -eu
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH # protoc-gen-mypy
# One sorted list: the order of the files must not depend on the locale.
LC_ALL=C
export PATH LC_ALL
.venv/bin/python -m grpc_tools.protoc --proto_path=proto \
    --python_out="$out" --grpc_python_out="$out" \
    --mypy_out="quiet:$out" --mypy_grpc_out="quiet:$out" \
    proto/windlass/v1/*.proto
