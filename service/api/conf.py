"""The family `conf`: conferences."""

from conference.limits import (
    DURATION_MINUTES_DEFAULT,
    DURATION_MINUTES_MAX,
    PARTICIPANTS_DEFAULT,
    PARTICIPANTS_MAX,
    PARTICIPANTS_MIN,
    PIN_DIGITS_MAX,
    PIN_DIGITS_MIN,
)
from service.api.definition import Blocks, Context, Kind, Method, Parameter, ReplyField, Values
from service.errors import Status
from service.views import ConferenceView

CONF_ID = Parameter(
    "conf_id",
    Kind.CONF_ID,
    "The conference, as createConference answered it.",
    "12a34b",
    required=True,
)

CONFERENCE_FIELDS = (
    ReplyField("conf_id", "the conference's identifier: six hexadecimal digits"),
    ReplyField("access_code", "the digits that a caller types to come in"),
    ReplyField("phone_number", "the number to dial; empty where none is assigned to the dial-in"),
    ReplyField("sip_uri", "the SIP address that leads straight into the conference"),
    ReplyField("start", "when it starts"),
    ReplyField("end", "when it ends"),
    ReplyField("access", "who may come in: `open`, `pin` or `callers`"),
    ReplyField("state", "`scheduled`, `on` or `ended`"),
    ReplyField(
        "participants",
        "who is or was in it",
        item="participant",
        fields=(
            ReplyField("number", "the number or SIP address"),
            ReplyField("joined_at", "when the participant came in"),
            ReplyField("left_at", "when the participant left; empty while inside"),
        ),
    ),
)


def _block(view: ConferenceView) -> Blocks:
    return {
        "conference_info": {
            "conf_id": view.conf_id,
            "access_code": view.access_code,
            "phone_number": view.phone_number,
            "sip_uri": view.sip_uri,
            "start": view.start,
            "end": view.end,
            "access": view.access,
            "state": view.state,
            "participants": [
                {"number": one.number, "joined_at": one.joined_at, "left_at": one.left_at}
                for one in view.participants
            ],
        }
    }


async def _create(context: Context, values: Values) -> Blocks:
    return _block(
        await context.core.create_conference(
            context.account_id,
            start=values["start"],
            duration_min=values["duration"],
            access=values["access"],
            pin=values["pin"],
            max_participants=values["max_participants"],
        )
    )


async def _get(context: Context, values: Values) -> Blocks:
    return _block(await context.core.get_conference(context.account_id, values["conf_id"]))


async def _end(context: Context, values: Values) -> Blocks:
    await context.core.end_conference(context.account_id, values["conf_id"])
    return await _get(context, values)


async def _add_caller(context: Context, values: Values) -> Blocks:
    conf_id, number = values["conf_id"], values["number"]
    await context.core.add_caller(context.account_id, conf_id, number)
    return {"caller_info": {"conf_id": conf_id, "number": number}}


METHODS = (
    Method(
        "conf",
        "createConference",
        "Creates a conference. Free; what it costs is the calls it makes.",
        (
            Parameter(
                "start",
                Kind.TIME,
                "When it starts; without it, now.",
                "2026-03-02T14:00:00+01:00",
            ),
            Parameter(
                "duration",
                Kind.INTEGER,
                "How long it lasts, in minutes.",
                "30",
                default=DURATION_MINUTES_DEFAULT,
                least=1,
                most=DURATION_MINUTES_MAX,
                over=Status.TOO_LONG,
            ),
            Parameter(
                "access",
                Kind.CHOICE,
                "Who may come in: whoever knows the code, whoever knows code and PIN, or only "
                "the numbers given with addCaller.",
                "pin",
                default="open",
                choices=("open", "pin", "callers"),
            ),
            Parameter(
                "pin",
                Kind.DIGITS,
                "The PIN, where `access` is `pin`.",
                "4711",
                least=PIN_DIGITS_MIN,
                most=PIN_DIGITS_MAX,
            ),
            Parameter(
                "max_participants",
                Kind.INTEGER,
                "How many may be in it at once.",
                "10",
                default=PARTICIPANTS_DEFAULT,
                least=PARTICIPANTS_MIN,
                most=PARTICIPANTS_MAX,
            ),
        ),
        "conference_info",
        CONFERENCE_FIELDS,
        _create,
        example=(("duration", "30"), ("access", "pin"), ("pin", "4711")),
        statuses=(Status.TOO_LONG, Status.CONTENT_MISSING),
        creates=True,
    ),
    Method(
        "conf",
        "addCaller",
        "Lets a number into a conference whose access is `callers`, before it starts and while "
        "it runs. A number that is in already changes nothing.",
        (
            CONF_ID,
            Parameter(
                "number",
                Kind.NUMBER,
                "The number that may come in.",
                "33612345678",
                required=True,
                bad=Status.BAD_NUMBER,
            ),
        ),
        "caller_info",
        (
            ReplyField("conf_id", "the conference"),
            ReplyField("number", "the number, in international digits"),
        ),
        _add_caller,
        example=(("conf_id", "12a34b"), ("number", "33612345678")),
        statuses=(
            Status.CONTENT_MISSING,
            Status.BAD_NUMBER,
            Status.NOT_FOUND,
            Status.CONFERENCE_ENDED,
        ),
        creates=True,
    ),
    Method(
        "conf",
        "getConference",
        "Tells how a conference is and who is or was in it.",
        (CONF_ID,),
        "conference_info",
        CONFERENCE_FIELDS,
        _get,
        example=(("conf_id", "12a34b"),),
        statuses=(Status.CONTENT_MISSING, Status.NOT_FOUND),
    ),
    Method(
        "conf",
        "endConference",
        "Ends a conference now: everybody inside is hung up or goes on with their script.",
        (CONF_ID,),
        "conference_info",
        CONFERENCE_FIELDS,
        _end,
        example=(("conf_id", "12a34b"),),
        statuses=(Status.CONTENT_MISSING, Status.NOT_FOUND, Status.CONFERENCE_ENDED),
    ),
)
