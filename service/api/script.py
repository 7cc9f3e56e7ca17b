"""The family `script`: uploaded VoiceXML documents."""

from service.api.definition import Blocks, Context, Kind, Method, Parameter, ReplyField, Values
from service.api.replies import problem_fields
from service.errors import Refused, Status
from service.scripts import NAME_CHARS_MAX, SOURCE_BYTES_MAX, VERSIONS_PER_SCRIPT_MAX

EXAMPLE_SOURCE = (
    '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">'
    "<form><block>Hello.</block></form></vxml>"
)
SOURCE = Parameter(
    "source",
    Kind.SOURCE,
    f"The document, at most {SOURCE_BYTES_MAX} bytes.",
    "<vxml …>",
)
FILE = Parameter(
    "file",
    Kind.SOURCE,
    "The document as an uploaded file (multipart), instead of `source`.",
    "@menu.vxml",
)
PROBLEMS = ReplyField(
    "problems",
    "what the check found, in order",
    item="problem",
    fields=(
        ReplyField("line", "the line, from 1"),
        ReplyField("column", "the column, from 1; 0 where it is not known"),
        ReplyField("severity", "`error` or `warning`"),
        ReplyField("rule", "the rule's short name"),
        ReplyField("message", "what is wrong and what to do"),
    ),
)


def _source(values: Values) -> bytes:
    given = [values[name] for name in ("source", "file") if values[name] is not None]
    if len(given) != 1:
        raise Refused(
            Status.CONTENT_MISSING,
            "the script is missing" if not given else "source and file are both given",
            field="source",
            hint="source as text, or file as a multipart upload",
        )
    source: bytes = given[0]
    return source


async def _upload(context: Context, values: Values) -> Blocks:
    uploaded = await context.scripts.upload(
        context.account_id, values["name"], _source(values), at=context.now
    )
    return {
        "script_info": {
            "script_id": uploaded.script_id,
            "name": values["name"],
            "version": uploaded.version,
            "problems": [problem_fields(one) for one in uploaded.problems],
        }
    }


async def _check(context: Context, values: Values) -> Blocks:
    problems = context.scripts.check(_source(values))
    return {
        "script_info": {
            "usable": not any(problem.severity == "error" for problem in problems),
            "problems": [problem_fields(one) for one in problems],
        }
    }


METHODS = (
    Method(
        "script",
        "uploadScript",
        "Checks a script and keeps it as the new version of the account's script of that name. "
        "Numbers assigned to the script run it from the next call on.",
        (
            Parameter(
                "name",
                Kind.TEXT,
                "The script's name; one that is there already gets a new version, of which the "
                f"newest {VERSIONS_PER_SCRIPT_MAX} are kept.",
                "menu",
                required=True,
                least=1,
                most=NAME_CHARS_MAX,
            ),
            SOURCE,
            FILE,
        ),
        "script_info",
        (
            ReplyField("script_id", "the script's identifier, for assignNumber"),
            ReplyField("name", "its name"),
            ReplyField("version", "the version that calls run now"),
            PROBLEMS,
        ),
        _upload,
        example=(("name", "menu"), ("source", EXAMPLE_SOURCE)),
        statuses=(Status.CONTENT_MISSING, Status.TOO_LONG),
        creates=True,
        notes="A script with errors is refused with status 432; the reply lists all its "
        "problems under `script_info/problems`. The same document again makes no new version.",
    ),
    Method(
        "script",
        "checkScript",
        "Checks a script without keeping it.",
        (SOURCE, FILE),
        "script_info",
        (ReplyField("usable", "`true` where uploadScript would take it"), PROBLEMS),
        _check,
        example=(("source", EXAMPLE_SOURCE),),
        statuses=(Status.CONTENT_MISSING, Status.TOO_LONG),
    ),
)
