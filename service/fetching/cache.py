"""Answers kept for all calls: by address and variant, bounded, the least used go first."""

from collections import OrderedDict

from service.fetching.freshness import Answer, Fields, chosen_by
from service.limits import CACHED_ADDRESSES_MAX, CACHED_VARIANTS_MAX

# What an answer takes besides its body: fields, address and objects, roughly.
OVERHEAD_BYTES = 2_048


class HttpCache:
    """A store of answers to GET; what may be stored and used is said in `freshness`."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._answers: OrderedDict[str, list[Answer]] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return sum(len(variants) for variants in self._answers.values())

    def find(self, url: str, sent: Fields) -> Answer | None:
        """Return the newest answer that a request with these fields would get (RFC 9111 4.1)."""
        variants = self._answers.get(url)
        if variants is None:
            return None
        self._answers.move_to_end(url)
        return next((one for one in reversed(variants) if chosen_by(one, sent)), None)

    def keep(self, url: str, answer: Answer) -> None:
        """Keep an answer, in place of the one for the same variant."""
        if _size(answer) > self._bytes_max:
            self.drop(url)
            return
        variants = self._answers.setdefault(url, [])
        self._answers.move_to_end(url)
        for old in [one for one in variants if one.vary == answer.vary]:
            self._remove(variants, old)
        variants.append(answer)
        self.bytes += _size(answer)
        if len(variants) > CACHED_VARIANTS_MAX:
            self._remove(variants, variants[0])
        while self.bytes > self._bytes_max or len(self._answers) > CACHED_ADDRESSES_MAX:
            self.drop(next(iter(self._answers)))

    def drop(self, url: str) -> None:
        """Forget all that is kept of an address (RFC 9111 4.4)."""
        for answer in self._answers.pop(url, ()):
            self.bytes -= _size(answer)

    def _remove(self, variants: list[Answer], answer: Answer) -> None:
        variants.remove(answer)
        self.bytes -= _size(answer)


def _size(answer: Answer) -> int:
    fields = sum(len(name) + len(value) for name, value in answer.fields)
    return OVERHEAD_BYTES + len(answer.url) + fields + len(answer.body)
