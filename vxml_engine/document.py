"""A compiled document: frozen values, shared by all sessions that run it.

Names are VoiceXML's.  ``line`` is where the element stands in its source.  Nothing here depends on
the address a document was fetched from: relative addresses are resolved when they are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from vxml_engine.grammar.network import Mode, Network

Method = Literal["get", "post"]


@dataclass(frozen=True, slots=True)
class FetchAttributes:
    """How to fetch (VoiceXML 2.0 6.1); what is None is told by properties."""

    fetchtimeout: str | None = None
    fetchhint: str | None = None
    maxage: str | None = None
    maxstale: str | None = None
    fetchaudio: str | None = None


NO_ATTRIBUTES = FetchAttributes()

TransferKind = Literal["bridge", "blind", "consultation"]

# --- What is spoken


@dataclass(frozen=True, slots=True)
class Text:
    """Literal text, not yet escaped."""

    text: str


@dataclass(frozen=True, slots=True)
class ValueOf:
    """``<value expr>``."""

    expr: str
    line: int


@dataclass(frozen=True, slots=True)
class Audio:
    """``<audio>``: ``content`` is played when the address cannot be fetched."""

    src: str | None
    expr: str | None
    content: tuple[Part, ...]
    line: int
    fetch: FetchAttributes = NO_ATTRIBUTES


@dataclass(frozen=True, slots=True)
class MarkPart:
    """``<mark>``: ``nameexpr`` is evaluated when the prompt is made (VoiceXML 2.1 4)."""

    name: str | None
    nameexpr: str | None
    line: int


@dataclass(frozen=True, slots=True)
class ForeachPart:
    """``<foreach>`` in a prompt (VoiceXML 2.1 6)."""

    item: str
    array: str
    content: tuple[Part, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Markup:
    """An element of SSML that goes to the synthesizer as it is."""

    tag: str
    attributes: tuple[tuple[str, str], ...]
    content: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Enumerate:
    """``<enumerate>``: its content once a choice; without content, the choices' texts."""

    content: tuple[Part, ...]
    line: int


@dataclass(frozen=True, slots=True)
class PromptElement:
    """``<prompt>``, or what stands for one directly in executable content."""

    parts: tuple[Part, ...]
    count: int
    cond: str | None
    bargein: bool | None
    timeout_s: float | None
    language: str | None
    line: int
    base: str | None = None
    bargeintype: str | None = None


Part = Text | ValueOf | Audio | MarkPart | ForeachPart | Markup | Enumerate

# --- Executable content


@dataclass(frozen=True, slots=True)
class Var:
    name: str
    expr: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Assign:
    name: str
    expr: str
    line: int


@dataclass(frozen=True, slots=True)
class Script:
    source: str
    src: str | None
    srcexpr: str | None
    fetch: FetchAttributes
    line: int
    charset: str | None = None


@dataclass(frozen=True, slots=True)
class Foreach:
    """``<foreach>`` as executable content (VoiceXML 2.1 6)."""

    item: str
    array: str
    content: tuple[Executable, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Data:
    """``<data>`` (VoiceXML 2.1 5): without ``name``, what comes is thrown away."""

    name: str | None
    src: str | None
    srcexpr: str | None
    namelist: tuple[str, ...]
    method: Method
    enctype: str
    fetch: FetchAttributes
    line: int


@dataclass(frozen=True, slots=True)
class Branch:
    cond: str | None
    content: tuple[Executable, ...]


@dataclass(frozen=True, slots=True)
class If:
    branches: tuple[Branch, ...]
    line: int


@dataclass(frozen=True, slots=True)
class LogElement:
    label: str | None
    expr: str | None
    parts: tuple[Part, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Throw:
    event: str | None
    eventexpr: str | None
    message: str | None
    messageexpr: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Reprompt:
    line: int


@dataclass(frozen=True, slots=True)
class Clear:
    namelist: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Goto:
    next: str | None
    expr: str | None
    nextitem: str | None
    expritem: str | None
    fetch: FetchAttributes
    line: int


@dataclass(frozen=True, slots=True)
class Submit:
    next: str | None
    expr: str | None
    namelist: tuple[str, ...] | None
    method: Method
    enctype: str
    fetch: FetchAttributes
    line: int


@dataclass(frozen=True, slots=True)
class ReturnElement:
    namelist: tuple[str, ...]
    event: str | None
    eventexpr: str | None
    message: str | None
    messageexpr: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Exit:
    expr: str | None
    namelist: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class DisconnectElement:
    namelist: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class TransferSpec:
    """What ``<transfer>`` and ``<vm:transfer>`` share."""

    dest: str | None
    destexpr: str | None
    kind: TransferKind
    connecttimeout_s: float | None
    maxtime_s: float
    caller: str | None
    aai: str | None
    aaiexpr: str | None
    transferaudio: str | None = None


@dataclass(frozen=True, slots=True)
class TransferNow:
    """``<vm:transfer>``: a transfer as executable content; ``name`` may take its result."""

    name: str | None
    spec: TransferSpec
    line: int


Executable = (
    Var
    | Assign
    | Script
    | If
    | PromptElement
    | LogElement
    | Throw
    | Reprompt
    | Clear
    | Goto
    | Submit
    | ReturnElement
    | Exit
    | DisconnectElement
    | TransferNow
    | Foreach
    | Data
)


# --- Handlers and grammars


@dataclass(frozen=True, slots=True)
class Catch:
    """``<catch>`` and its short forms; no ``events``: every event."""

    events: tuple[str, ...]
    count: int
    cond: str | None
    content: tuple[Executable, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Filled:
    mode: Literal["all", "any"]
    namelist: tuple[str, ...]
    content: tuple[Executable, ...]
    line: int


@dataclass(frozen=True, slots=True)
class InlineGrammar:
    """A grammar compiled with its document; what it refers to is fetched when it is active."""

    network: Network
    line: int
    document_wide: bool = False


@dataclass(frozen=True, slots=True)
class ExternalGrammar:
    """A grammar that is fetched when it becomes active."""

    src: str | None
    srcexpr: str | None
    mode: Mode | None
    fetch: FetchAttributes
    line: int
    document_wide: bool = False


@dataclass(frozen=True, slots=True)
class UnsupportedGrammar:
    """A grammar that raises ``event`` when it becomes active: of a format nobody knows."""

    event: str
    message: str
    line: int
    document_wide: bool = False


GrammarElement = InlineGrammar | ExternalGrammar | UnsupportedGrammar


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a choice or a link leads: an address or an event."""

    next: str | None
    expr: str | None
    event: str | None
    eventexpr: str | None
    message: str | None
    messageexpr: str | None
    fetch: FetchAttributes
    line: int


@dataclass(frozen=True, slots=True)
class LinkElement:
    grammars: tuple[GrammarElement, ...]
    destination: Destination


@dataclass(frozen=True, slots=True)
class Option:
    """``<option>`` of a field: ``networks`` are those of its keys and of its text."""

    text: str
    dtmf: str | None
    networks: tuple[Network, ...]
    value: str


@dataclass(frozen=True, slots=True)
class Choice:
    text: str
    dtmf: str | None
    grammars: tuple[GrammarElement, ...]
    destination: Destination


# --- Form items


@dataclass(frozen=True, slots=True)
class Common:
    """What all form items have (VoiceXML 2.0 2.1.3)."""

    name: str
    named: bool
    expr: str | None
    cond: str | None
    line: int
    prompts: tuple[PromptElement, ...] = ()
    catches: tuple[Catch, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Block:
    common: Common
    content: tuple[Executable, ...]


@dataclass(frozen=True, slots=True)
class Field:
    common: Common
    slot: str
    modal: bool
    grammars: tuple[GrammarElement, ...]
    options: tuple[Option, ...]
    links: tuple[LinkElement, ...]


@dataclass(frozen=True, slots=True)
class Initial:
    """``<initial>``: asks for several fields at once (VoiceXML 2.0 2.3.3)."""

    common: Common
    links: tuple[LinkElement, ...]


@dataclass(frozen=True, slots=True)
class RecordItem:
    """``<record>`` (VoiceXML 2.0 2.3.6)."""

    common: Common
    modal: bool
    beep: bool
    maxtime_s: float | None
    finalsilence_s: float | None
    dtmfterm: bool
    media_type: str
    grammars: tuple[GrammarElement, ...]
    links: tuple[LinkElement, ...]


@dataclass(frozen=True, slots=True)
class MenuInput:
    """The one input of a ``<menu>``, which is a form in disguise (VoiceXML 2.0 2.2)."""

    common: Common
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    expr: str | None
    value: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Subdialog:
    common: Common
    src: str | None
    srcexpr: str | None
    namelist: tuple[str, ...]
    method: Method
    enctype: str
    fetch: FetchAttributes
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class TransferItem:
    common: Common
    spec: TransferSpec
    grammars: tuple[GrammarElement, ...]


@dataclass(frozen=True, slots=True)
class ObjectItem:
    """``<object>`` (VoiceXML 2.0 2.3.5): there are none here."""

    common: Common
    classid: str


FormItem = Block | Field | Initial | MenuInput | ObjectItem | RecordItem | Subdialog | TransferItem


@dataclass(frozen=True, slots=True)
class Form:
    """``<form>`` or ``<menu>``; ``declarations`` are in document order, form items included.

    ``filled`` are all, in document order, each with the name of the item it stands in, None for
    the form's own.  ``document_wide``: its grammars are active in the whole document.
    """

    id: str | None
    is_menu: bool
    declarations: tuple[Var | Script | Data | FormItem, ...]
    items: tuple[FormItem, ...]
    filled: tuple[tuple[str | None, Filled], ...]
    catches: tuple[Catch, ...]
    links: tuple[LinkElement, ...]
    grammars: tuple[GrammarElement, ...]
    document_wide: bool
    properties: Mapping[str, str]
    line: int


@dataclass(frozen=True, slots=True)
class Document:
    """A compiled ``<vxml>``."""

    version: str
    language: str
    base: str | None
    application: str | None
    declarations: tuple[Var | Script | Data, ...]
    dialogs: tuple[Form, ...]
    catches: tuple[Catch, ...]
    links: tuple[LinkElement, ...]
    properties: Mapping[str, str]

    def dialog(self, name: str | None) -> Form | None:
        """The dialog called ``name``; the first one without a name; None if there is none."""
        if name is None:
            return self.dialogs[0] if self.dialogs else None
        return next((d for d in self.dialogs if d.id == name), None)
