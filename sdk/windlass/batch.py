"""Owns `with app.batch():`, in which sync code submits without waiting for each acknowledgement."""

from __future__ import annotations

from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from windlass.exceptions import BatchRefused, WindlassError
from windlass.transport.call import Call, Pending
from windlass.transport.io_thread import check_may_block
from windlass.waiting import wait_for

if TYPE_CHECKING:
    from types import TracebackType

    from windlass.transport.session import ClientSession
    from windlass.v1 import run_service_pb2, workflow_pb2

#: The batch that `delay` in this thread (or task) joins.
open_batch: Final[ContextVar[Batch | None]] = ContextVar("windlass_batch", default=None)

_HAND_OVER: Final = 500


@dataclass(slots=True)
class KeyedRun:
    """A run of a batch that has, or may have, an idempotency key: once that is known, the run that has the key."""

    run_id: str


class Batch:
    """Collects what is delayed inside it; at its end the engine has all of it.

    Raises at its end:
        BatchRefused: some were refused; names which and why. The others were accepted.
    """

    def __init__(self, session: ClientSession) -> None:
        """Collect for one client."""
        self.session: Final = session
        self._token: Token[Batch | None] | None = None
        self._gathered: list[tuple[run_service_pb2.RunSubmission, workflow_pb2.WorkflowDefinition | None]] = []
        self._sent: list[list[Pending]] = []
        self._keyed: dict[str, KeyedRun] = {}

    def add(
        self, submission: run_service_pb2.RunSubmission, definition: workflow_pb2.WorkflowDefinition | None
    ) -> str | KeyedRun:
        """Take one run; gives its id. Never blocks."""
        self._gathered.append((submission, definition))
        if len(self._gathered) >= _HAND_OVER:
            self._hand_over()
        run_id = submission.run_id
        if definition is None or definition.HasField("idempotency") or submission.spec.HasField("idempotency"):
            keyed = self._keyed[run_id] = KeyedRun(run_id)
            return keyed
        return run_id

    def flush(self) -> None:
        """Submit what has gathered, and wait until the engine has all of it."""
        check_may_block("batch", "aio_delay")
        self._hand_over()
        sent, self._sent = self._sent, []
        errors: dict[str, WindlassError] = {}
        total = 0
        for items in sent:
            total += len(items)
            answers = wait_for(self.session, items, None)
            for item, answer in zip(items, answers, strict=True):
                if isinstance(answer, WindlassError):
                    errors[item.run_id] = answer
                elif item.submission is not None and (keyed := self._keyed.get(item.submission.run_id)):
                    keyed.run_id = item.run_id
        self._keyed.clear()
        if errors:
            raise _refused(errors, total)

    def __enter__(self) -> Self:
        self._token = open_batch.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._token is not None:
            open_batch.reset(self._token)
            self._token = None
        self.flush()

    def _hand_over(self) -> None:
        gathered, self._gathered = self._gathered, []
        if not gathered:
            return
        call = Call(len(gathered), None)
        items = [
            Pending(submission.run_id, call, index, submission=submission, definition=definition, wants_result=False)
            for index, (submission, definition) in enumerate(gathered)
        ]
        self._sent.append(items)
        self.session.submit(items)


def _refused(errors: dict[str, WindlassError], total: int) -> BatchRefused:
    """Sum up what was refused out of `total` runs."""
    reasons = sorted({str(error) for error in errors.values()})
    shown = "; ".join(reasons[:3]) + ("; …" if len(reasons) > 3 else "")  # noqa: PLR2004 - the number says it
    return BatchRefused(f"{len(errors)} of {total} runs were refused: {shown}", errors=errors)
