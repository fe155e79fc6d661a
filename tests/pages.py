"""The sections of the pages that are written from the code: `python -m tests.pages` writes them anew.

test_pages.py holds the pages to it.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from bridge.osc import access, outbox, packet, table
from bridge.osc.packet import write_message
from bridge.osc.table import REPLY_PORT, TABLE, Argument, Verb
from bridge.playing import live_settings, slots
from bridge.playing.live_settings import KNOBS, MODES, LiveSettings
from bridge.service import busy, clients, delayed, inbox, joining, multipart, reception, subscriptions, uploads
from engine import requests
from engine.representation.attributes import ATTRIBUTES
from tests.bridge.service.test_service import Studio

ROOT = Path(__file__).parents[1]


def protocol_requests() -> Iterator[str]:
    """Every address that the daemon listens to, its arguments in order, and what it does."""
    yield from rows(("request", "what it does", "keys"), (_request(verb) for verb in TABLE.values()))


def _request(verb: Verb) -> tuple[str, str, str]:
    words = ["id", *(each.name if each.required else f"[{each.name}]" for each in verb.positional)]
    words += ["(pitch start duration velocity mute)×count"] * verb.notes + ["f×count"] * verb.numbers
    marks = ["id > 0"] * verb.needs_id + ["answered while warming up"] * verb.while_warming_up
    text = f"{verb.text.rstrip('.')} ({', '.join(marks)})" if marks else verb.text.rstrip(".")
    needed = [f"**{key.name}**" if key.required else key.name for key in verb.keys]
    return f"`/vae/{verb.name} {' '.join(words)}`", text, " · ".join(needed)


def protocol_arguments() -> Iterator[str]:
    """Every positional argument and key: its type and range, and where it stands."""
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for verb in TABLE.values():
        for each in (*verb.positional, *verb.keys):
            found[_argument(verb, each)].append(verb.name)
    found[_argument(TABLE["ping"], REPLY_PORT)].append("every request")
    told = sorted((key, where) for key, where in found.items())
    heads = ("argument or key", "type", "range", "default", "what it says", "of")
    yield from rows(heads, ((f"`{name}`", *more, ", ".join(where)) for (name, *more), where in told))


def _argument(verb: Verb, each: Argument) -> tuple[str, ...]:
    kind = "s, or several values" if each.several else each.kind
    setting = _setting(verb, each)
    bounds = default = ""
    if setting is not None and "low" in setting.metadata:
        bounds = f"{setting.metadata['low']}..{setting.metadata['high']}"
    elif each.within:
        bounds = "{}..{}".format(*each.within)
    elif each.kind == "s":
        bounds = f"1..{each.max_bytes} bytes"
    if setting is not None and setting.default not in (None, MISSING, ()):
        default = str(setting.default)
    return each.name, kind, bounds, default, each.text.replace("|", "\\|")


def _setting(verb: Verb, each: Argument) -> Field[Any] | None:
    """The field that a value becomes: of the verb's request, or of the live mode."""
    known: dict[str, Field[Any]] = {}
    if verb.request is not None:
        known = {field.name: field for field in fields(verb.request)}
    elif verb.name in ("live", "steer"):
        known = KNOBS | {field.name: field for field in fields(LiveSettings) if "low" in field.metadata}
    return known.get(each.name)


LIMITS: tuple[tuple[str, object], ...] = (
    ("notes of one message", table.NOTES_PER_MESSAGE),
    ("numbers of a z in one message", table.NUMBERS_PER_MESSAGE),
    ("numbers of a z", table.MAX_LATENT),
    ("notes of a clip", slots.MAX_NOTES),
    ("parts of a clip", uploads.MAX_PARTS),
    ("beats of a clip, and of a start and a duration", f"{slots.LONGEST_BEATS:.0f}"),
    ("bars of a clip that a verb takes", live_settings.LONGEST_CLIP_BARS),
    ("bars of a window of a live mode that listens", live_settings.LONGEST_WINDOW_BARS),
    ("slots", slots.MAX_SLOTS),
    ("the largest seed", requests.MAX_SEED),
    ("requests that wait for the models", busy.MAX_WAITING),
    ("results that are made together", joining.TOGETHER),
    ("uploads under way, of all clients", busy.MAX_OPEN),
    ("decodes that wait for their numbers, of all clients", busy.MAX_OPEN),
    ("syncs that wait, of one client", busy.MAX_SYNCS),
    ("seconds without a chunk after which an upload ends", f"{multipart.CHUNK_SECONDS:g}"),
    ("seconds without a chunk after which a decode ends", f"{multipart.CHUNK_SECONDS:g}"),
    ("seconds in which a repeat is answered from memory", f"{clients.REMEMBERED_SECONDS:g}"),
    ("bytes of answers that are remembered, of all clients", clients.MAX_REMEMBERED_BYTES),
    ("clients that are remembered", clients.MAX_CLIENTS),
    ("bundles inside one another", packet.MOST_NESTED),
    ("arguments of a message", packet.MOST_ARGUMENTS),
    ("seconds that a timetag delays at most", f"{delayed.LONGEST_DELAY_SECONDS:g}"),
    ("messages dated ahead that wait, of one source", delayed.MAX_OF_ONE),
    ("messages dated ahead that wait, of all sources", delayed.MAX_IN_ALL),
    ("datagrams that came and wait to be handled, of one source", inbox.MOST_OF_ONE),
    ("datagrams that came and wait to be handled, of all sources", inbox.MOST_IN_ALL),
    ("answers a second to one address for what is no OSC", reception.MAX_BAD_PACKET_REPLIES),
    ("datagrams in one go to a client", outbox.BURST),
    ("datagrams a second to a client after that", outbox.DATAGRAMS_PER_SECOND),
    ("datagrams that wait for a client before it gets no more music", outbox.MAX_MUSIC),
    ("datagrams that wait for a client before it gets nothing more", outbox.MAX_WAITING),
    ("clients that are told of one topic", busy.MAX_SUBSCRIBERS),
    ("seconds of silence after which a subscription ends", f"{subscriptions.SILENT_SECONDS:g}"),
    ("seconds between two tellings of the state at least", f"{subscriptions.STATE_SECONDS:g}"),
    ("seconds that `learn` waits for a control", f"{table.LESSON_SECONDS:g}"),
    ("bytes of a text that the daemon sends", table.MAX_TEXT_BYTES),
)


def live_modes() -> Iterator[str]:
    """Every live mode but off, the verb that it has unless another is named first."""
    told = (
        (f"`{name}`", mode.text, " ".join(f"`{verb}`" for verb in mode.verbs), str(mode.bars or "the clip's"))
        for name, mode in MODES.items()
    )
    yield from rows(("mode", "what it plays", "verb", "bars"), told)


def protocol_limits() -> Iterator[str]:
    """Every bound that a client may meet."""
    named = (
        ("networks beyond this machine that may ask, unless `--allow` says others", ", ".join(access.PRIVATE)),
    )
    counted = ((what, f"{value:,}" if isinstance(value, int) else str(value)) for what, value in LIMITS)
    yield from rows(("what", "at most"), (*counted, *named))


def protocol_example() -> Iterator[str]:
    """A request and the daemon's answer, byte for byte."""
    asked = ("/vae/clip", 1, "a", 4.0, 1, 36, 0.0, 0.25, 100, 0)
    studio = Studio()
    studio.send("clip", *asked[1:])
    ((answer, _),) = studio.service.outbox.due(studio.now)
    (read,) = packet.read_packet(answer)
    for message, content in ((asked, write_message(*asked)), ((read.address, *read.arguments), answer)):
        yield from ("```", " ".join(map(str, message)), "", *_dump(content), "```")


def _dump(content: bytes) -> Iterator[str]:
    """Sixteen bytes a line, and as characters."""
    for at in range(0, len(content), 16):
        line = content[at : at + 16]
        shown = "".join(chr(each) if 32 <= each < 127 else "." for each in line)
        yield f"{at:04x}  {line.hex(' ', 4):<35}  {shown}"


def verbs_of_music() -> Iterator[str]:
    """The verbs that make music, for musicians."""
    common = {field.name for field in fields(requests.Request)}
    for_all = (*common, *ATTRIBUTES, "chords", "to", "group", "slot", "from", "from2", "to2")
    found = (verb for verb in TABLE.values() if verb.request is not None)
    told = (
        (
            f"`{verb.name}`",
            verb.text.rstrip("."),
            " ".join(f"`{key.name}`" for key in verb.keys if key.name not in for_all),
        )
        for verb in found
    )
    yield from rows(("verb", "what comes back", "its own settings"), told)


def rows(heads: Iterable[str], cells: Iterable[Iterable[str]]) -> Iterator[str]:
    """A table of Markdown."""
    names = tuple(heads)
    yield f"| {' | '.join(names)} |"
    yield f"| {' | '.join('---' for _ in names)} |"
    yield from (f"| {' | '.join(each)} |" for each in cells)


SECTIONS: dict[str, tuple[str, Callable[[], Iterator[str]]]] = {
    "requests": ("bridge/README.md", protocol_requests),
    "arguments": ("bridge/README.md", protocol_arguments),
    "modes": ("bridge/README.md", live_modes),
    "limits": ("bridge/README.md", protocol_limits),
    "example": ("bridge/README.md", protocol_example),
    "verbs": ("README.md", verbs_of_music),
}
"""Each section by the name between its marks, the page that it stands in, and what writes it."""


def written_anew(text: str, name: str) -> str:
    """A page with the section as the code writes it; ValueError if its marks are not in the page."""
    begin, end = _marks(name)
    content = "\n".join(SECTIONS[name][1]())
    marked = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}", re.DOTALL)
    if not marked.search(text):
        raise ValueError(f"{SECTIONS[name][0]} must hold the lines {begin} and {end}")
    return marked.sub(lambda _: f"{begin}\n{content}\n{end}", text)


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: written by python -m tests.pages -->", f"<!-- end of {name} -->"


if __name__ == "__main__":
    for section, (page, _) in SECTIONS.items():
        path = ROOT / page
        path.write_text(written_anew(path.read_text(), section))
