"""The family `account`: money."""

from billing.money import format_credits
from service.api.definition import Blocks, Context, Method, ReplyField, Values


async def _get_balance(context: Context, _: Values) -> Blocks:
    balance = await context.core.get_balance(context.account_id)
    return {
        "balance_info": {
            "available_millicredits": balance.available,
            "held_millicredits": balance.held,
            "total_millicredits": balance.total,
            "earned_millicredits": balance.earned,
            "spent_millicredits": balance.spent,
            "credits": format_credits(balance.available),
        }
    }


METHODS = (
    Method(
        "account",
        "getBalance",
        "Tells the account's balance. 1 credit is 1000 millicredits is 1 euro cent.",
        (),
        "balance_info",
        (
            ReplyField("available_millicredits", "what can be spent"),
            ReplyField("held_millicredits", "what is set aside for calls that run"),
            ReplyField("total_millicredits", "both"),
            ReplyField("earned_millicredits", "what incoming calls earned so far"),
            ReplyField("spent_millicredits", "what calls cost so far"),
            ReplyField("credits", "what can be spent, as decimal text of credits"),
        ),
        _get_balance,
    ),
)
