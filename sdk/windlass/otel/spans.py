"""Owns how our spans begin: with our tracer, and with the name of the service that they are of.

A span's service is its resource's, which not every back end shows: ours name it themselves too.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, SpanKind, TracerProvider
    from opentelemetry.util.types import AttributeValue


class Spans:
    """Begins spans of one service."""

    def __init__(self, provider: TracerProvider) -> None:
        """Have them made by this provider."""
        self._tracer = provider.get_tracer("windlass", version("windlass"))
        resource = getattr(provider, "resource", None)
        self._service = "" if resource is None else str(resource.attributes.get("service.name", ""))

    def begin(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, AttributeValue],
        context: Context | None = None,
        links: Sequence[Link] | None = None,
    ) -> Span:
        """Begin one, below the current one unless a context says otherwise."""
        named = {"windlass.service": self._service, **attributes}
        return self._tracer.start_span(name, context=context, kind=kind, attributes=named, links=links)
