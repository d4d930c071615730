"""How far attempts say that they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conformance import work
from tests.conformance.case import optional_case

if TYPE_CHECKING:
    from tests.conformance.rig import Rig

# Twice as often as "a few times a second".
_MOST_A_SECOND = 10


@optional_case("progress")
async def the_last_word_comes_before_the_outcome(rig: Rig) -> None:
    """What an attempt said last goes out before its outcome, with run and lease; nothing after that."""
    link = await rig.connect()
    # So soon after the first that it is not due by itself.
    attempt = work.progress(3, every_ms=50)
    link.assign(attempt)
    work.expect_output(await link.outcome(attempt), {})
    told = link.progress_of(attempt.lease_id)
    assert told, "expected progress before the outcome, got none"
    last = (told[-1].done, told[-1].total, told[-1].message)
    assert last == (3, 3, "step 3"), f"expected the last word, 3 of 3 with the message 'step 3', got {last}"
    runs = {each.run_id for each in link.progresses if each.lease_id == attempt.lease_id}
    assert runs == {attempt.run_id}, f"run_id: expected {attempt.run_id}, got {runs}"
    await rig.execute_for(link, 600)
    assert len(link.progress_of(attempt.lease_id)) == len(told), "progress was told after the outcome"


@optional_case("progress")
async def words_are_sent_as_they_come(rig: Rig) -> None:
    """The first word goes out at once, also where nothing else is to be said, and later ones follow."""
    # No heartbeat takes it along.
    rig.dispatcher.welcome.heartbeat_interval_ms = 60_000
    rig.dispatcher.welcome.session_ttl_ms = 600_000
    link = await rig.connect()
    attempt = work.progress(3, every_ms=600)
    link.assign(attempt)
    work.expect_output(await link.outcome(attempt), {})
    told = [each.done for each in link.progress_of(attempt.lease_id)]
    assert told == [1, 2, 3], f"expected each of three words, 600 ms apart, got {told}"


@optional_case("progress")
async def words_are_thinned_out(rig: Rig) -> None:
    """A task may say more than is sent: a few words a second, the newest each time."""
    link = await rig.connect()
    attempt = work.progress(400, every_ms=5)
    link.assign(attempt)
    sent_at = rig.now()
    work.expect_output(await link.outcome(attempt), {})
    seconds = rig.now() - sent_at
    told = [each.done for each in link.progress_of(attempt.lease_id)]
    assert len(told) <= 2 + _MOST_A_SECOND * seconds, (
        f"expected a few words a second, got {len(told)} in {seconds:.1f} s"
    )
    assert told == sorted(set(told)), f"expected each word to be newer than the one before, got {told}"
