"""Owns the names, options and help of `windlass token` and `windlass certs`; what they do is elsewhere."""

from pathlib import Path
from typing import Annotated, Final

import typer

token: Final = typer.Typer(help="Make, list and revoke tokens.", no_args_is_help=True)
certs: Final = typer.Typer(help="Certificates for TLS.", no_args_is_help=True)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
_Store = Annotated[
    bool, typer.Option("--store", help="Not through the api: straight in the store of WINDLASS_STORE_URL.")
]
_Namespace = Annotated[str, typer.Option(help="With --store: whose. [default: default]")]


@token.command("create")
def create_token(
    *,
    name: Annotated[str, typer.Option(help="For people.")] = "",
    scope: Annotated[
        list[str] | None, typer.Option(help="submit, read, work, schedule or admin; may be repeated, or a,b.")
    ] = None,
    expires: Annotated[str, typer.Option(metavar="DURATION", help="As 30d, 12h. [default: never]")] = "",
    file: Annotated[Path | None, typer.Option(help="Write it there, mode 0600, and do not print it.")] = None,
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="With --store and --file: only where the file has none that holds.")
    ] = False,
    store: _Store = False,
    namespace: _Namespace = "",
    as_json: _Json = False,
) -> None:
    """Make a token. It is shown once: only its hash is kept."""
    from windlass.cli.tokens import Creation, create, desk

    create(desk(namespace, store=store), Creation(name, scope or [], expires, file, if_missing), as_json=as_json)


@token.command("list")
def list_tokens(*, store: _Store = False, namespace: _Namespace = "", as_json: _Json = False) -> None:
    """List tokens, newest first; those that ended for 30 days more."""
    from windlass.cli.tokens import desk, show

    show(desk(namespace, store=store), as_json=as_json)


@token.command("revoke")
def revoke_tokens(
    token_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="As tk_0123456789abcdef0123.")],
    *,
    store: _Store = False,
    namespace: _Namespace = "",
    as_json: _Json = False,
) -> None:
    """Refuse tokens from now on; streams that were opened with them end at once."""
    from windlass.cli.tokens import desk, revoke

    revoke(desk(namespace, store=store), token_ids, as_json=as_json)


@certs.command("dev")
def make_certificates(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Further names and addresses of the servers.")
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("certs"),
) -> None:
    """Make an authority, a server's and a client's certificate, for trying TLS."""
    from windlass.cli.certificates import make

    make(out, names or [])
