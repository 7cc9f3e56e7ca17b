"""The family `number`: the numbers that reach the service."""

from typing import Any

from service.api.definition import Blocks, Context, Kind, Method, Parameter, ReplyField, Values
from service.errors import Status
from service.numbers import DIAL_IN, Number

NUMBER_FIELDS = (
    ReplyField("number", "the number, in international digits"),
    ReplyField("script", "the script that answers it"),
    ReplyField("phone", "the phone that it rings"),
    ReplyField("conference", f"`{DIAL_IN}` where it is the conferences' dial-in"),
)


def _fields(number: Number) -> dict[str, Any]:
    return {
        "number": number.number,
        "script": number.script_id,
        "phone": number.phone,
        "conference": DIAL_IN if number.dial_in else None,
    }


async def _assign(context: Context, values: Values) -> Blocks:
    assigned = await context.numbers.assign(
        context.account_id,
        values["number"],
        script_id=values["script"],
        phone=values["phone"],
        dial_in=values["conference"] is not None,
    )
    return {"number_info": _fields(assigned)}


async def _list(context: Context, _: Values) -> Blocks:
    listed = context.numbers.list_of(context.account_id)
    return {"number_info": {"numbers": [_fields(number) for number in listed]}}


METHODS = (
    Method(
        "number",
        "assignNumber",
        "Lets a number reach one thing - a script, a phone or the conferences' dial-in - instead "
        "of what it did. The number is the account's or a free one.",
        (
            Parameter(
                "number",
                Kind.NUMBER,
                "The number.",
                "33199000001",
                required=True,
                bad=Status.BAD_NUMBER,
            ),
            Parameter(
                "script",
                Kind.TEXT,
                "The `script_id` that uploadScript answered.",
                "5d41402abc4b2a76",
                least=1,
                most=32,
            ),
            Parameter("phone", Kind.TEXT, "A phone's user name.", "alice", least=1, most=64),
            Parameter(
                "conference",
                Kind.CHOICE,
                "The dial-in, which asks callers for their conference's access code.",
                DIAL_IN,
                choices=(DIAL_IN,),
            ),
        ),
        "number_info",
        NUMBER_FIELDS,
        _assign,
        example=(("number", "33199000001"), ("conference", DIAL_IN)),
        statuses=(Status.CONTENT_MISSING, Status.BAD_NUMBER, Status.NOT_FOUND),
        notes="Exactly one of `script`, `phone` and `conference` is given.",
    ),
    Method(
        "number",
        "listNumbers",
        "Lists the account's numbers and what each reaches.",
        (),
        "number_info",
        (ReplyField("numbers", "the numbers, in order", item="entry", fields=NUMBER_FIELDS),),
        _list,
    ),
)
