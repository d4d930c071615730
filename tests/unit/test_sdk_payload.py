"""What travels: inputs and outputs as JSON, what is refused because it cannot, and how large it may be."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from tests.support.made_task import Image, Point, make, run
from windlass.exceptions import InvalidInput, PayloadTooLarge, SerializationError
from windlass.payload import check_size
from windlass.signature import PlainForm


def test_defaults_are_filled_in_at_the_call() -> None:
    """What travels is complete, whatever the worker's version says."""

    def task(path: str, width: int = 3, tags: Optional[list[str]] = None) -> None: ...  # noqa: UP045

    form = make(task).form
    assert isinstance(form, PlainForm)
    assert form.input.encode(("a",), {}) == b'{"path":"a","width":3,"tags":null}'


def test_defaults_that_cannot_travel_stay_with_the_function() -> None:
    """A sentinel, say."""
    sentinel = object()

    def task(path: str, mode: Any = sentinel, size: int = None) -> bool:  # type: ignore[assignment] # noqa: RUF013
        return mode is sentinel and size is None

    form = make(task).form
    assert isinstance(form, PlainForm)
    assert b"mode" not in form.input.encode(("a",), {})
    assert run(make(task), b'{"path": "a"}') is True


def test_rest_is_a_list_field_and_extra_keywords_are_extra_keys() -> None:
    """As Python has them."""

    def task(first: int, *rest: int, flag: bool = False, **extra: float) -> Any:
        return first, rest, flag, extra

    form = make(task).form
    assert isinstance(form, PlainForm)
    text = form.input.encode((1, "2", 3), {"flag": True, "z": "1.5"})
    assert run(make(task), text) == (1, (2, 3), True, {"z": 1.5})
    with pytest.raises(InvalidInput):
        form.input.encode((1, "no"), {})
    with pytest.raises(InvalidInput):
        form.input.encode((1,), {"z": "no"})


def test_positional_only_parameters_are_passed_by_place() -> None:
    """Their names are still the fields."""

    def task(a: int, b: int = 2, /, c: int = 3) -> Any:
        return a, b, c

    form = make(task).form
    assert isinstance(form, PlainForm)
    assert run(make(task), form.input.encode((1,), {"c": 5})) == (1, 2, 5)
    with pytest.raises(TypeError):
        form.input.encode((), {"a": 1})


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1, 2, 3), {}), ((1,), {"a": 1}), ((1,), {"other": 1})])
def test_calls_that_python_would_refuse_are_type_errors(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """At the call, in Python's own words."""

    def task(a: int, b: int = 0) -> None: ...

    form = make(task).form
    assert isinstance(form, PlainForm)
    with pytest.raises(TypeError):
        form.input.encode(args, kwargs)


def test_wrong_values_name_the_field() -> None:
    """And say what was expected and what came."""

    def task(path: str, width: int) -> None: ...

    form = make(task).form
    assert isinstance(form, PlainForm)
    with pytest.raises(InvalidInput, match=r"input of task 't': width: .*integer.*\(got 'wide'\)") as wrong:
        form.input.encode(("a",), {"width": "wide"})
    assert wrong.value.field == "width"
    assert isinstance(wrong.value, ValueError)


def test_values_that_are_no_json_name_their_type() -> None:
    """Inputs that nobody annotated."""

    def task(thing) -> None: ...  # type: ignore[no-untyped-def] # noqa: ANN001

    form = make(task).form
    assert isinstance(form, PlainForm)
    with pytest.raises(SerializationError, match="object"):
        form.input.encode((object(),), {})


def test_field_names_that_models_reserve_are_fine() -> None:
    """They are parameters, not attributes of a model."""

    def task(model_config: int, schema: str, json: int, _private: int) -> Any:
        return model_config, schema, json, _private

    form = make(task).form
    assert isinstance(form, PlainForm)
    assert run(make(task), form.input.encode((1, "a", 2, 3), {})) == (1, "a", 2, 3)


def test_a_worker_refuses_an_input_that_does_not_fit() -> None:
    """Before the function is called."""

    def task(path: str) -> None:
        pytest.fail("was called")

    for text in (b"{}", b'{"path": "a", "other": 1}', b"[]", b'["a", "b"]', b"7", b"not json"):
        with pytest.raises(InvalidInput):
            run(make(task), text)


def test_outputs_are_written_by_annotation_and_by_value() -> None:
    """Whatever pydantic dumps; the annotation helps but does not restrict."""

    def point() -> Point: ...  # type: ignore[empty-body]
    def anything(): ...  # type: ignore[no-untyped-def] # noqa: ANN202

    assert make(point).encode_output(Point(1, 2)) == b'{"x":1,"y":2}'
    assert make(point).encode_output({"x": 1}) == b'{"x":1}'
    assert make(anything).encode_output({Image(url="a").url: {1}}) == b'{"a":[1]}'
    assert make(anything).encode_output(None) == b"null"
    assert make(point).decode_output(b'{"x":1}') == Point(1)


def test_outputs_that_are_no_json_name_their_type() -> None:
    """And say what to return."""

    class Connection: ...

    def task() -> Any: ...

    with pytest.raises(SerializationError, match="Connection"):
        make(task).encode_output(Connection())


def test_outputs_that_do_not_fit_the_annotation_are_told_apart() -> None:
    """Another version of the task ran, mostly."""

    def task() -> int: ...  # type: ignore[empty-body]

    with pytest.raises(SerializationError, match="output of task 't'"):
        make(task).decode_output(b'"text"')


def test_large_payloads_are_refused_with_the_limit() -> None:
    """1 MiB."""
    with pytest.raises(PayloadTooLarge, match=r"1,048,577 bytes .* 1,048,576 \(1 MiB\)") as refused:
        check_size(b"x" * (1024 * 1024 + 1), "input")
    assert refused.value.limit == 1024 * 1024
