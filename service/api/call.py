"""The family `call`: calls that the service makes, and those it has."""

from billing.money import format_credits
from service.api.definition import Blocks, Context, Kind, Method, Parameter, ReplyField, Values
from service.errors import Status
from service.limits import CALL_S_MAX, RING_S_DEFAULT, RING_S_MAX

CALL_ID = Parameter(
    "call_id",
    Kind.CALL_ID,
    "The call, as createCall answered it.",
    "0a1b2c3d4e5f6071",
    required=True,
)


async def _create(context: Context, values: Values) -> Blocks:
    call_id = await context.core.create_call(
        context.account_id,
        from_=values["from"],
        to=values["to"],
        max_duration_s=values["max_duration"],
        timeout_s=values["timeout"],
    )
    return {"call_info": {"call_id": call_id}}


async def _release(context: Context, values: Values) -> Blocks:
    await context.core.release_call(context.account_id, values["call_id"])
    return {"call_info": {"call_id": values["call_id"]}}


async def _get(context: Context, values: Values) -> Blocks:
    view = await context.core.get_call(context.account_id, values["call_id"])
    return {
        "call_info": {
            "call_id": view.call_id,
            "direction": view.direction,
            "caller": view.caller,
            "called": view.called,
            "state": view.state,
            "created": view.created,
            "answered": view.answered,
            "ended": view.ended,
            "duration_s": view.duration_s,
            "cause": view.cause,
            "cost_millicredits": view.cost_millicredits,
            "earned_millicredits": view.earned_millicredits,
            "credits": format_credits(view.earned_millicredits - view.cost_millicredits),
            "timeline": [
                {"at": entry.at, "kind": entry.kind, "detail": dict(entry.detail)}
                for entry in view.timeline
            ],
        }
    }


METHODS = (
    Method(
        "call",
        "createCall",
        "Calls `from`, then `to`, and connects the two. With a conference on one side, the "
        "conference calls a guest. The answer comes at once; getCall tells how the call goes.",
        (
            Parameter(
                "from",
                Kind.DESTINATION,
                "Who is called first, or the conference that calls.",
                "conf:12a34b",
                required=True,
                bad=Status.BAD_FROM,
            ),
            Parameter(
                "to",
                Kind.DESTINATION,
                "Who is called then, or the conference that `from` is led into.",
                "33612345678",
                required=True,
                bad=Status.BAD_NUMBER,
            ),
            Parameter(
                "max_duration",
                Kind.INTEGER,
                "Seconds after which the call is ended; a conference's call never lasts longer "
                "than the conference.",
                "600",
                least=1,
                most=CALL_S_MAX,
                over=Status.TOO_LONG,
            ),
            Parameter(
                "timeout",
                Kind.INTEGER,
                f"Seconds that a called party may ring; without it, {RING_S_DEFAULT}.",
                "30",
                least=1,
                most=RING_S_MAX,
                over=Status.TOO_LONG,
            ),
        ),
        "call_info",
        (ReplyField("call_id", "the call's identifier"),),
        _create,
        example=(("from", "conf:12a34b"), ("to", "33612345678"), ("max_duration", "600")),
        statuses=(
            Status.CONTENT_MISSING,
            Status.BAD_FROM,
            Status.BAD_NUMBER,
            Status.TOO_LONG,
            Status.CREDIT_TOO_LOW,
            Status.DESTINATION_REFUSED,
            Status.SOURCE_REFUSED,
            Status.UNREACHABLE,
            Status.NOT_FOUND,
            Status.CONFERENCE_NOT_STARTED,
            Status.CONFERENCE_ENDED,
            Status.CONFERENCE_FULL,
        ),
        creates=True,
        notes="Costs the price of the communication, and 8 credits a minute more where a "
        "conference calls a guest. No call is placed without a tariff for its destination.",
    ),
    Method(
        "call",
        "releaseCall",
        "Hangs up a call.",
        (CALL_ID,),
        "call_info",
        (ReplyField("call_id", "the call's identifier"),),
        _release,
        example=(("call_id", "0a1b2c3d4e5f6071"),),
        statuses=(Status.CONTENT_MISSING, Status.NOT_FOUND, Status.CONFLICT),
    ),
    Method(
        "call",
        "getCall",
        "Tells how a call goes or went: its times, what it costs, and its timeline.",
        (CALL_ID,),
        "call_info",
        (
            ReplyField("call_id", "the call's identifier"),
            ReplyField("direction", "`incoming` or `outgoing`"),
            ReplyField("caller", "who calls"),
            ReplyField("called", "who is called"),
            ReplyField("state", "`ringing`, `up` or `ended`"),
            ReplyField("created", "when it began"),
            ReplyField("answered", "when it was answered; empty where it was not"),
            ReplyField("ended", "when it ended; empty while it lasts"),
            ReplyField("duration_s", "seconds from answer to end"),
            ReplyField("cause", "why it ended, such as `remote` or `credit_exhausted`"),
            ReplyField("cost_millicredits", "what it cost"),
            ReplyField("earned_millicredits", "what it earned"),
            ReplyField("credits", "earned less cost, as decimal text of credits"),
            ReplyField(
                "timeline",
                "what happened, in order",
                item="entry",
                fields=(
                    ReplyField("at", "when"),
                    ReplyField("kind", "what"),
                    ReplyField("detail", "more about it, by name"),
                ),
            ),
        ),
        _get,
        example=(("call_id", "0a1b2c3d4e5f6071"),),
        statuses=(Status.CONTENT_MISSING, Status.NOT_FOUND),
    ),
)
