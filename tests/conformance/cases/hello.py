"""How a worker finds a dispatcher and says who it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.conformance import work
from tests.conformance.case import case

if TYPE_CHECKING:
    from tests.conformance.rig import Rig


@case
async def hello_says_who_the_worker_is(rig: Rig) -> None:
    """Hello has an id, a name, the SDK, the host and the slots, and holds nothing at first."""
    link = await rig.connect(slots=3)
    hello = link.hello
    assert re.fullmatch(r"[A-Za-z0-9-]{16,64}", hello.worker_id), (
        f"worker_id: expected 16 to 64 letters, digits or dashes, got {hello.worker_id!r}"
    )
    assert 1 <= len(hello.name) <= 200, f"name: expected 1 to 200 characters, got {hello.name!r}"
    assert re.fullmatch(r"\S+ \S.*", hello.sdk), f"sdk: expected 'language version', got {hello.sdk!r}"
    assert re.fullmatch(r".+:\d+", hello.host), f"host: expected 'host:pid', got {hello.host!r}"
    assert hello.slots == 3, f"slots: expected the 3 of CONFORMANCE_SLOTS, got {hello.slots}"
    assert not hello.held_lease_ids, "held_lease_ids: expected none in the first Hello"
    assert not hello.draining, "draining: expected false in the first Hello"


@case
async def hello_defines_every_task(rig: Rig) -> None:
    """Each task comes as a workflow of one task of the same name."""
    link = await rig.connect()
    defined = {workflow.name: [task.name for task in workflow.tasks] for workflow in link.hello.workflows}
    missing = work.TASKS - defined.keys()
    assert not missing, f"not defined: {', '.join(sorted(missing))}"
    for name in work.TASKS:
        assert defined[name] == [name], f"workflow {name}: expected one task of that name, got {defined[name]}"


@case
async def says_nothing_before_the_welcome(rig: Rig) -> None:
    """Hello is all that is sent until the Welcome, whatever ends or is due meanwhile."""
    rig.dispatcher.welcome.heartbeat_interval_ms = 500
    link = await rig.connect()
    attempt = work.hold(500)
    link.assign(attempt)
    await link.acceptance(attempt)
    rig.dispatcher.welcomes = False
    link = await rig.cut(link)
    await rig.let_time_pass(1_100)
    assert len(link.heard) == 1, f"expected nothing but Hello, heard {link}"
    link.say(welcome=rig.dispatcher.welcome)
    work.expect_output(await link.outcome(attempt), {"held": 500})


@case
async def sends_its_token(rig: Rig) -> None:
    """Every call carries `authorization: Bearer TOKEN`; without it none of the cases gets anywhere."""
    link = await rig.connect()
    given = link.metadata.get("authorization")
    assert given == f"Bearer {rig.token}", f"expected 'authorization: Bearer …' with WINDLASS_TOKEN, got {given!r}"


@case
async def waits_for_an_api_that_is_away(rig: Rig) -> None:
    """A worker that starts before its api asks again until it is there."""
    await rig.api.server.stop()
    await rig.start_worker()
    await rig.let_time_pass(1_000)
    await rig.api.server.start()
    link = await rig.dispatcher.link(1)
    await rig.execute_for(link, 1)


@case
async def waits_for_a_dispatcher(rig: Rig) -> None:
    """A worker that is told that no dispatcher is alive asks again until there is one."""
    addresses, rig.api.addresses = rig.api.addresses, []
    await rig.start_worker()
    await rig.until(lambda: rig.api.asked >= 2, "a second call of ListDispatchers")
    rig.api.addresses = addresses
    link = await rig.dispatcher.link(1)
    await rig.execute_for(link, 1)


@case
async def tries_the_next_dispatcher(rig: Rig) -> None:
    """Where the first address can't be reached, the next one is tried."""
    second = await rig.add_dispatcher()
    await rig.dispatcher.server.stop()
    await rig.start_worker()
    await rig.execute_for(await second.link(1), 1)


@case
async def goes_straight_to_a_named_dispatcher(rig: Rig) -> None:
    """WINDLASS_DISPATCHER_ADDRESS is connected to without asking the api."""
    await rig.api.server.stop()
    await rig.start_worker(WINDLASS_DISPATCHER_ADDRESS=rig.dispatcher.server.address)
    await rig.execute_for(await rig.dispatcher.link(1), 1)
