"""Pure: what the `claude` backend says: to people at the end of a turn, to those who watch it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

NOTHING_MORE = "(nothing to add)"
# The program asks again where a turn ends without a word.
HOW_IT_ENDS = f"Where you would write nothing at the end, write exactly: {NOTHING_MORE}"
MAX_PART_BYTES = 60_000  # of one message, as send_message takes it
LONGEST_WAIT_S = 60  # that a person is kept waiting for a model that asks to be asked later
NEW_THREAD = "the earlier conversation cannot be taken up again, so a new one begins"
COMPACTED = "the conversation has grown long: its earlier part goes on as a summary"
_SILENT = frozenset({"send_message"})  # whoever watches sees it anyway


def closing_words(text: str, said: Iterable[str]) -> str | None:
    """What is still to be said at a turn's end; None where that would say nothing new.

    text: the turn's last text. said: what send_message has said in the same turn. A model that
    has spoken tends to say it again, or that it has spoken.
    """
    words = text.strip()
    while words.endswith(NOTHING_MORE):
        words = words.removesuffix(NOTHING_MORE).strip()
    plain = _plain(words)
    if not plain or any(plain in _plain(each) for each in said):
        return None
    return words


def parts(text: str, most_bytes: int = MAX_PART_BYTES) -> Iterator[str]:
    """A text as messages that are not too long, cut where a line or a word ends if there is one."""
    while len(raw := text.encode()) > most_bytes:
        head = raw[:most_bytes].decode(errors="ignore")
        end = max(head.rfind("\n"), head.rfind(" "))
        cut = end if end > len(head) // 2 else len(head)
        yield text[:cut].rstrip()
        text = text[cut:].lstrip()
    if text:
        yield text


def using(tool: str) -> str | None:
    """The line for those who watch while a tool is used."""
    return None if tool in _SILENT else f"using {tool}"


def failure(status: int | None, kind: str | None = None) -> str:
    """Why the model did not answer, for the person who waits. status: of the last answer (HTTP);
    kind: what the program calls it."""
    match status, kind:
        case 429, _:
            return "The language model takes no more requests just now. Ask me again in a while."
        case 529 | 503, _:
            return "The language model is overloaded just now. Ask me again in a few minutes."
        case 401 | 403, _:
            return (
                "The language model may not be used from here. My owner can look at it with "
                "nostrclaw model test, and at this conversation's models with /model."
            )
        case ((400 | 404 | 413), _):
            return (
                "The language model refused what I asked. My owner can look at it with "
                "nostrclaw model test."
            )
        case _, "program":
            return "The program that talks to the language model ended too early. Ask me again."
        case _, "silent":
            return "The language model fell silent in the middle of its answer. Ask me again."
        case _:
            return "The language model did not answer. Ask me again in a while."


def later(wait_s: float) -> str:
    """The model asks to be asked again, but not soon."""
    minutes = max(1, round(wait_s / 60))
    return f"The language model takes no more requests for {minutes} min. Ask me again then."


def retrying(data: Mapping[str, object]) -> str:
    """The line for those who watch while the program waits to ask again."""
    why = {429: "takes no more requests just now", 529: "is overloaded"}
    status = data.get("error_status")
    words = why.get(status, "did not answer") if isinstance(status, int) else "did not answer"
    return f"the language model {words}; it is asked again"


def first_line(text: str) -> str:
    """What a model says before it uses a tool, in one line."""
    return text.strip().partition("\n")[0].strip()


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
