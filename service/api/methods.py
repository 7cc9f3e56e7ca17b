"""All methods of the API, by family and name."""

from service.api import account, call, conf, number, script
from service.api.definition import Method
from service.api.replies import item_names

METHODS: tuple[Method, ...] = (
    *conf.METHODS,
    *call.METHODS,
    *script.METHODS,
    *number.METHODS,
    *account.METHODS,
)

FAMILIES: dict[str, dict[str, Method]] = {}
for _method in METHODS:
    FAMILIES.setdefault(_method.family, {})[_method.name] = _method

# The names of list items in every reply, by list.
ITEM_NAMES: dict[str, str] = {}
for _method in METHODS:
    ITEM_NAMES.update(item_names(_method.fields))
