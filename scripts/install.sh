#!/bin/sh
# Owns .venv: makes it where it is missing or broken, and puts the two distributions (editable) and
# the tools into it, with uv where there is uv and with plain pip otherwise. Leaves the decision
# whether anything is to do to the Makefile.
set -eu
cd "$(dirname "$0")/.."

say() { echo "install: $*" >&2; }
die() { say "$*"; exit 1; }

# pip and uv want a home for their caches.
if [ -z "${HOME:-}" ]; then
    HOME=$(mktemp -d)
    export HOME
    trap 'rm -rf "$HOME"' EXIT
fi

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if recent "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

# Debian keeps the part of Python that makes virtual environments in a package of its own.
add_venv_package() {
    package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    how="install it and run make again: sudo apt-get install $package"
    command -v apt-get >/dev/null || die "$1 can't make virtual environments: it lacks its modules venv and ensurepip"
    if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
        die "$1 can't make virtual environments without Debian's package $package; $how"
    fi
    say "installing Debian's package $package"
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get install -qq -y "$package" >/dev/null 2>&1 ||
        { as_root apt-get update -qq && as_root apt-get install -qq -y "$package" >/dev/null; } ||
        die "apt-get could not install $package; $how"
}

make_venv() {
    python=$(find_python)
    if command -v uv >/dev/null; then
        uv venv --quiet --clear --python "${python:->=3.11}" .venv
        return
    fi
    [ -n "$python" ] || die "no Python 3.11 or later found; install one, or set PYTHON to it"
    "$python" -c 'import ensurepip, venv' 2>/dev/null || add_venv_package "$python"
    "$python" -m venv --clear .venv
}

if ! recent .venv/bin/python; then
    make_venv
elif ! command -v uv >/dev/null && ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    make_venv # made by a uv that has gone since
fi

if command -v uv >/dev/null; then
    add() { uv pip install --quiet --python .venv/bin/python --constraint constraints.txt "$@"; }
else
    pip() { .venv/bin/python -m pip --disable-pip-version-check --quiet "$@"; }
    add() { pip install --progress-bar off --constraint constraints.txt "$@"; }
    # Older ones know neither dependency groups nor today's metadata.
    pip install "$(grep '^pip==' constraints.txt)"
fi

say "putting Windlass and the tools into .venv (a minute or two the first time)"
add --group dev
# The build tool has just been installed, pinned: no second, unpinned copy of it.
add --no-build-isolation --editable sdk --editable services
say "done: .venv/bin/windlass --help"
