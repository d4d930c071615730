"""The task: what a worker of this example serves, in a container as anywhere else.

    windlass worker examples.word_count.tasks

It reads nothing but its input, so that caller and worker need no file in common.
"""

import asyncio
import re
from collections import Counter
from typing import Final

from pydantic import BaseModel

from windlass import Windlass

app = Windlass()

_WORD: Final = re.compile(r"[a-z]+(?:'[a-z]+)?")


class Page(BaseModel):
    """A text, and how many seconds its reader takes over it at the least."""

    text: str
    seconds: float = 0.0


class WordCount(BaseModel):
    """How often each word occurs, in lower case."""

    words: dict[str, int]


@app.task(name="count-words")
async def count_words(input: Page) -> WordCount:
    """Count the words of one page."""
    await asyncio.sleep(input.seconds)
    return WordCount(words=Counter(_WORD.findall(input.text.lower())))
