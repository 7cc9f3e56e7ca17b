"""G.711 against tables made another way, from the recommendation's own definition."""

import numpy as np
import pytest

from media.g711 import DECODE, ENCODE, LAWS, decode
from tests.kit import g711

EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_every_code_decodes_as_the_recommendation_says(law: str) -> None:
    codes = bytes(range(256))
    assert (decode(codes, law) == g711.decode(codes, law)).all()  # type: ignore[arg-type]
    assert (DECODE[LAWS[law]] == g711.decode(codes, law)).all()  # type: ignore[index]


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_every_sample_becomes_a_code_close_by_and_codes_survive(law: str) -> None:
    table = ENCODE[LAWS[law]]  # type: ignore[index]
    back = DECODE[LAWS[law]][table[EVERY_SAMPLE.astype(np.int32) & 0xFFFF]]  # type: ignore[index]
    wrong = np.abs(back.astype(int) - EVERY_SAMPLE)
    # Half of the segment's step at most; the top segment's is 1,024.
    assert (wrong <= np.maximum(np.abs(EVERY_SAMPLE.astype(int)) / 16, 16)).all()
    codes = np.arange(256, dtype=np.uint8)
    again = table[DECODE[LAWS[law]][codes].astype(np.int32) & 0xFFFF]  # type: ignore[index]
    values = DECODE[LAWS[law]]  # type: ignore[index]
    assert (values[again] == values[codes]).all()  # mu-law has two zeros


def test_a_tone_through_either_law_keeps_its_level_and_is_37_db_above_the_noise() -> None:
    from tests.kit import tones

    tone = tones.tone(1004, 1.0, dbfs=-10)
    for law in ("PCMU", "PCMA"):
        heard = decode(g711.encode(tone, law), law)  # type: ignore[arg-type]
        noise = heard.astype(float) - tone
        assert tones.level_dbfs(heard, 1004) == pytest.approx(-10, abs=0.1)
        ratio = 20 * np.log10(np.std(tone.astype(float)) / np.std(noise))
        assert ratio > 36  # G.712 asks for 33 dB at this level
