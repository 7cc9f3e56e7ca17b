"""`voicemashup graph`: the dialog flow of a script as SVG, DOT or Mermaid."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, Literal

from macros import Catalog
from vxml_engine.errors import DocumentError
from vxml_engine.graph import Graph, read_graph, write_dot, write_mermaid
from vxml_engine.limits import DOCUMENT_BYTES_MAX

Format = Literal["svg", "dot", "mermaid"]
FORMATS: Final[tuple[Format, ...]] = ("svg", "dot", "mermaid")

DRAWN, REFUSED, UNUSABLE = 0, 1, 2
DRAWING_S_MAX: Final = 60.0
"""How long Graphviz may take for a drawing."""

_FORMAT_OF_SUFFIX: Final[dict[str, Format]] = {
    ".dot": "dot",
    ".gv": "dot",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
}


class CannotDraw(Exception):
    """There is no Graphviz, or it has failed."""


def draw_svg(graph: Graph) -> str:
    """The graph as SVG, by Graphviz' program `dot`; raises `CannotDraw`."""
    program = shutil.which("dot")
    if program is None:
        raise CannotDraw(
            "an SVG is drawn by Graphviz, which is not there: apt install graphviz,"
            " or use --format mermaid"
        )
    try:
        drawn = subprocess.run(  # noqa: S603  # Graphviz, on text of our own
            [program, "-Tsvg"],
            input=write_dot(graph).encode(),
            capture_output=True,
            timeout=DRAWING_S_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotDraw(f"{program} does not answer: {error}") from error
    if drawn.returncode != 0:
        raise CannotDraw(f"{program} failed: {drawn.stderr.decode(errors='replace').strip()}")
    return drawn.stdout.decode()


def run(file: str, *, form: Format | None, output: Path | None, items: bool) -> int:
    """The command; returns its exit status: 0, 1 for a script with errors, 2 otherwise.

    Without `form` it is what the output's name says, else SVG.
    """
    if form is None:
        form = _FORMAT_OF_SUFFIX.get(output.suffix.lower() if output else "", "svg")
    try:
        with open(file, "rb") as opened:
            body = opened.read(DOCUMENT_BYTES_MAX + 1)
        url = Path(file).absolute().as_uri()
        graph = read_graph(body, url, Catalog.load().expand, items=items)
        text = _WRITERS[form](graph)
        if output is None:
            sys.stdout.write(text)
        else:
            output.write_text(text, encoding="utf-8")
    except DocumentError as error:
        for problem in error.problems:
            where = f"{file}:{problem.line}:{problem.column}"
            print(f"{where}: {problem.rule}: {problem.message}", file=sys.stderr)
        return REFUSED
    except OSError as error:
        print(f"{error.filename or file}: {error.strerror or error}", file=sys.stderr)
        return UNUSABLE
    except CannotDraw as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    return DRAWN


_WRITERS: Final = {"svg": draw_svg, "dot": write_dot, "mermaid": write_mermaid}
