"""Owns that the processes of a local cluster end with whoever started them, even if that is killed."""

import subprocess

# Reads process ids until the pipe closes, which it does when its writer dies in whatever way.
_WATCH = """
pids=
while read -r word; do
    case $word in
    done) exit ;;
    -*) kept=; for pid in $pids; do [ "$pid" = "${word#-}" ] || kept="$kept $pid"; done; pids=$kept ;;
    *) pids="$pids $word" ;;
    esac
done
kill -CONT $pids 2>/dev/null
kill -TERM $pids 2>/dev/null
sleep 5
kill -KILL $pids 2>/dev/null
rm -rf "$1"
"""


class Lifeline:
    """A shell that waits at the end of a pipe for its starter's death."""

    def __init__(self, folder: str) -> None:
        """Starts it; `folder` is removed when it comes to that."""
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _WATCH, "lifeline", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def hold(self, pid: int) -> None:
        """The process is to end with its starter."""
        self._tell(str(pid))

    def release(self, pid: int) -> None:
        """The process has ended: its id may be another's by now."""
        self._tell(f"-{pid}")

    def let_go(self) -> None:
        """All of them have ended: nothing is left to do."""
        self._tell("done")
        if self._shell.stdin is not None:
            self._shell.stdin.close()
        self._shell.wait()

    def _tell(self, word: str) -> None:
        if self._shell.stdin is not None:
            self._shell.stdin.write(f"{word}\n".encode())
            self._shell.stdin.flush()
