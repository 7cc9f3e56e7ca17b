"""The reference of the API in Markdown, written from the definitions.

`docs/api.md` contains what `reference` returns; `python -m service.api.reference` prints it.
"""

import shlex
from collections.abc import Sequence
from urllib.parse import urlencode

from service.api.definition import COMMON_STATUSES, Kind, Method, Parameter, ReplyField
from service.api.methods import FAMILIES
from service.api.values import expected
from service.errors import STATUSES, Status


def reference() -> str:
    """Every method with its parameters, reply, statuses and an example; then every status."""
    parts = []
    for family, methods in FAMILIES.items():
        parts.append(f"## Family `{family}`")
        parts.extend(_method(method) for method in methods.values())
    parts.append(_statuses())
    return "\n\n".join(parts) + "\n"


def example(method: Method) -> str:
    """A curl line that calls the method: GET with a query, or POST where it creates."""
    url = f"http://127.0.0.1:8080/{method.family}/{method.name}.xml"
    if not method.creates:
        return f'curl "{url}?{urlencode([("id", "KEY"), *method.example], safe=":")}"'
    words = ["curl", url, "-d", "id=KEY"]
    for name, value in method.example:
        plain = method.by_name[name].kind not in (Kind.SOURCE, Kind.TEXT)
        words += ["-d" if plain else "--data-urlencode", f"{name}={value}"]
    return shlex.join(words)


def _method(method: Method) -> str:
    lines = [f"### {method.full_name}", "", method.summary, ""]
    if method.notes:
        lines += [method.notes, ""]
    if method.parameters:
        lines += ["| parameter | value | meaning |", "| --- | --- | --- |"]
        lines += [_parameter(parameter) for parameter in method.parameters]
    else:
        lines.append("It takes no parameters.")
    lines += ["", "```sh", example(method), "```", ""]
    lines += [f"Reply, in `/response/{method.block}`:", "", *_fields(method.fields, "")]
    if method.creates:
        lines += ["", "Takes `request_id`: a repetition gets the first answer."]
    if method.statuses:
        named = ", ".join(f"{int(status)}" for status in sorted(method.statuses))
        lines += ["", f"Statuses beside the [common ones](#statuses): {named}."]
    return "\n".join(lines)


def _parameter(parameter: Parameter) -> str:
    due = "**required**" if parameter.required else "optional"
    value = f"{due}, {expected(parameter)}, such as `{parameter.example}`"
    if parameter.default is not None:
        value += f"; default `{parameter.default}`"
    return f"| `{parameter.name}` | {value} | {parameter.description} |"


def _fields(fields: Sequence[ReplyField], indent: str) -> list[str]:
    lines = []
    for one in fields:
        items = f" (a list of `{one.item}`)" if one.item else ""
        lines.append(f"{indent}- `{one.name}`: {one.description}{items}")
        lines += _fields(one.fields, indent + "  ")
    return lines


def _statuses() -> str:
    def mark(status: Status) -> str:
        return "any method" if status in COMMON_STATUSES else ""

    rows = [
        f"| {int(status)} | {meaning.http} | {meaning.text} | {mark(status)} |"
        for status, meaning in STATUSES.items()
    ]
    return "\n".join(
        [
            "## Statuses",
            "",
            "| status_code | HTTP | meaning | answered by |",
            "| --- | --- | --- | --- |",
            *rows,
        ]
    )


if __name__ == "__main__":
    print(reference(), end="")
