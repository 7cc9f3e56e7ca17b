"""Making a prompt: values are evaluated, text is escaped, audio splits the speech around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from vxml_engine import document as d
from vxml_engine.ecmascript import UNDEFINED, Ecmascript
from vxml_engine.effects import AudioFile, Caching, Segment, Speech
from vxml_engine.errors import LimitReached
from vxml_engine.limits import PROMPT_CHARS_MAX


@dataclass(frozen=True, slots=True)
class Listed:
    """A choice as ``<enumerate>`` tells it: its text and its keys."""

    text: str
    dtmf: str | None


class PromptMaker:
    """Makes the segments of one prompt.

    ``resolve`` makes an address absolute; ``listed`` is what ``<enumerate>`` goes through;
    ``caching`` tells how a recording may be fetched.
    """

    def __init__(
        self,
        ecmascript: Ecmascript,
        language: str,
        resolve: Callable[[str], str],
        listed: Sequence[Listed],
        caching: Callable[[d.FetchAttributes], Caching],
    ) -> None:
        self._ecmascript = ecmascript
        self._language = language
        self._resolve = resolve
        self._listed = listed
        self._caching = caching
        self._segments: list[Segment] = []
        self._ssml: list[str] = []
        self._open: list[tuple[str, str]] = []
        self._spoken = False
        self._chars = 0

    def make(self, parts: Sequence[d.Part]) -> tuple[Segment, ...]:
        """The segments; raises ``ThrownEvent`` for what an expression does wrong."""
        self._add_all(parts)
        self._flush()
        return tuple(self._segments)

    def _add_all(self, parts: Sequence[d.Part]) -> None:
        for part in parts:
            self._add(part)

    def _add(self, part: d.Part) -> None:
        match part:
            case d.Text(text):
                self._write(text)
            case d.ValueOf(expr):
                self._write(self._ecmascript.text(expr))
            case d.Markup(tag, attributes, content):
                self._add_markup(tag, attributes, content)
            case d.Audio():
                self._add_audio(part)
            case d.Enumerate(content):
                self._add_enumerate(content)
            case d.MarkPart(name, nameexpr):
                told = self._ecmascript.text(nameexpr) if nameexpr is not None else name or ""
                self._spoken = True
                self._ssml.append(f"<mark name={quoteattr(told)}/>")
            case d.ForeachPart():
                self._add_each(part)

    def _add_each(self, loop: d.ForeachPart) -> None:
        """``<foreach>`` (VoiceXML 2.1 6)."""
        length = self._ecmascript.begin_loop(loop.array)
        try:
            for index in range(length):
                self._ecmascript.loop_item(loop.item, index)
                self._add_all(loop.content)
        finally:
            self._ecmascript.end_loop()

    def _write(self, text: str) -> None:
        self._chars += len(text)
        if self._chars > PROMPT_CHARS_MAX:
            raise LimitReached(
                "PROMPT_CHARS_MAX", f"a prompt has more than {PROMPT_CHARS_MAX} characters"
            )
        self._spoken = self._spoken or not text.isspace()
        self._ssml.append(escape(text))

    def _add_markup(
        self, tag: str, attributes: tuple[tuple[str, str], ...], content: tuple[d.Part, ...]
    ) -> None:
        start = tag + "".join(f" {name}={quoteattr(value)}" for name, value in attributes)
        if not content:
            self._spoken = True
            self._ssml.append(f"<{start}/>")
            return
        self._open.append((tag, start))
        self._ssml.append(f"<{start}>")
        self._add_all(content)
        self._ssml.append(f"</{tag}>")
        self._open.pop()

    def _add_audio(self, audio: d.Audio) -> None:
        """A recording stands between speech: open elements are closed before, reopened after."""
        address = audio.src
        if audio.expr is not None:
            value = self._ecmascript.evaluate(audio.expr)
            address = None if value is UNDEFINED or value is None else str(value)
            if address is None:
                self._add_all(audio.content)
                return
        inner = PromptMaker(
            self._ecmascript, self._language, self._resolve, self._listed, self._caching
        )
        fallback = inner.make(audio.content)
        self._chars += inner._chars
        self._ssml += [f"</{tag}>" for tag, _ in reversed(self._open)]
        self._flush()
        caching = self._caching(audio.fetch)
        self._segments.append(AudioFile(self._resolve(address or ""), fallback, caching))
        self._ssml += [f"<{start}>" for _, start in self._open]

    def _flush(self) -> None:
        ssml = "".join(self._ssml).strip()
        if ssml and self._spoken:
            self._segments.append(Speech(ssml, self._language))
        self._ssml = []
        self._spoken = False

    def _add_enumerate(self, content: tuple[d.Part, ...]) -> None:
        """``<enumerate>`` (VoiceXML 2.0 2.2.4)."""
        if not content:
            for listed in self._listed:
                keys = f": {' '.join(listed.dtmf)}" if listed.dtmf else ""
                self._write(f"{listed.text}{keys}. ")
            return
        for listed in self._listed:
            depth = self._ecmascript.push()
            try:
                self._ecmascript.set_innermost("_prompt", listed.text)
                self._ecmascript.set_innermost("_dtmf", listed.dtmf or "")
                self._add_all(content)
            finally:
                self._ecmascript.cut(depth)


def select_prompts(
    prompts: Sequence[d.PromptElement], counter: int, test: Callable[[str], bool]
) -> list[d.PromptElement]:
    """Tapered prompts (VoiceXML 2.0 4.1.6): those of the highest count up to the counter."""
    eligible = [p for p in prompts if p.count <= counter and (p.cond is None or test(p.cond))]
    highest = max((prompt.count for prompt in eligible), default=0)
    return [prompt for prompt in eligible if prompt.count == highest]
