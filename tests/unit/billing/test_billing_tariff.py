"""Reading a tariff, matching prefixes, and the tariff that comes with the service."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType

from billing import limits
from billing.errors import BadTariff, NoTariff
from billing.limits import (
    DESTINATION_CHARS_MAX,
    PREFIX_DIGITS_MAX,
    RATE_MILLICREDITS_PER_MINUTE_MAX,
    TARIFF_BYTES_MAX,
    TARIFF_ROWS_MAX,
)
from billing.tariff import Rate, Refusal, Tariff, default_tariff

HEADER = "prefix,destination,millicredits_per_minute\n"


def parse(rows: str) -> Tariff:
    return Tariff.parse(HEADER + rows)


def test_the_longest_prefix_wins() -> None:
    tariff = parse("33,France,1000\n336,France mobile,2400\n3361234,One village,9\n")
    assert tariff.rate_for("33123456789") == Rate("33", "France", 1_000)
    assert tariff.rate_for("33612345678").millicredits_per_minute == 9
    assert tariff.rate_for("33612999999").millicredits_per_minute == 2_400
    assert tariff.rate_for("33").destination == "France"


def test_order_does_not_matter_and_comments_and_spaces_may_stand() -> None:
    tariff = Tariff.parse(f'# ours\n\n{HEADER}# more\n 336 ,"France, mobile", 2400\n33,France,1\n')
    assert tariff.rows == (Rate("336", "France, mobile", 2_400), Rate("33", "France", 1))


@pytest.mark.parametrize("number", ["44123", "3", "", "+33123", "033123", "33 1", "٣٣١", "phone"])
def test_a_number_without_a_rate_is_refused_by_name(number: str) -> None:
    tariff = parse("33,France,1000\nphone,Phone,0\n")
    with pytest.raises(NoTariff, match="no rate") as told:
        tariff.rate_for(number)
    assert told.value.destination == number


def test_a_refused_prefix_is_no_rate_although_a_shorter_one_has_one() -> None:
    tariff = parse("33,France,1000\n338,France premium,refused\n33800,France freephone,0\n")
    with pytest.raises(NoTariff, match="France premium") as told:
        tariff.rate_for("33899123456")
    assert told.value.refused == "France premium"
    assert tariff.rate_for("33800123456").millicredits_per_minute == 0
    assert Refusal("338", "France premium") in tariff.rows


def test_phones_of_ours_and_sip_addresses_have_rows_of_their_own() -> None:
    tariff = parse("phone,Phone,0\nsip,Elsewhere,200\n")
    assert tariff.rate_for_phone().millicredits_per_minute == 0
    assert tariff.rate_for_sip().millicredits_per_minute == 200
    other = parse("33,France,1\nsip,Elsewhere,refused\n")
    with pytest.raises(NoTariff, match="refuses"):
        other.rate_for_sip()
    with pytest.raises(NoTariff, match="'phone'"):
        other.rate_for_phone()


@pytest.mark.parametrize(
    ("rows", "line", "problem"),
    [
        ("33,France,1\n33,Again,2\n", 3, "prefix 33 is in line 2 already"),
        ("33,France,1\n# a comment\n33,Again,2\n", 4, "in line 2 already"),
        ("+33,France,1\n", 2, r"'\+33'"),
        ("033,France,1\n", 2, "'033'"),
        (",France,1\n", 2, "''"),
        ("fax,Fax,1\n", 2, "'fax'"),
        ("1" * (PREFIX_DIGITS_MAX + 1) + ",Far,1\n", 2, f"1 to {PREFIX_DIGITS_MAX} digits"),
        ("33,France,-1\n", 2, "'-1'"),
        ("33,France,1.5\n", 2, "'1.5'"),
        ("33,France,\n", 2, "''"),
        (
            f"33,France,{RATE_MILLICREDITS_PER_MINUTE_MAX + 1}\n",
            2,
            "RATE_MILLICREDITS_PER_MINUTE_MAX",
        ),
        ("33,France\n", 2, "3 columns are needed, 2"),
        ("33,France,1,2\n", 2, "3 columns are needed, 4"),
        ("33,,1\n", 2, "a destination has 1 to"),
        (f"33,{'x' * (DESTINATION_CHARS_MAX + 1)},1\n", 2, f"1 to {DESTINATION_CHARS_MAX}"),
        ('33,"France,1\n', 2, "not CSV"),
        ("", 1, "no row"),
    ],
)
def test_a_bad_row_is_told_with_its_line(rows: str, line: int, problem: str) -> None:
    with pytest.raises(BadTariff, match=f"line {line}: .*{problem}") as told:
        parse(rows)
    assert told.value.line == line


def test_the_limits_themselves_are_allowed() -> None:
    name = "x" * DESTINATION_CHARS_MAX
    tariff = parse(f"{'1' * PREFIX_DIGITS_MAX},{name},{RATE_MILLICREDITS_PER_MINUTE_MAX}\n")
    assert tariff.rate_for("1" * PREFIX_DIGITS_MAX).destination == name


@pytest.mark.parametrize("text", ["", "33,France,1\n", "prefix,price\n33,1\n"])
def test_the_columns_are_named_first(text: str) -> None:
    with pytest.raises(BadTariff, match="line 1"):
        Tariff.parse(text)


def test_a_tariff_has_so_many_rows_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"{10_000_000 + i},x,1\n" for i in range(TARIFF_ROWS_MAX))
    assert len(parse(rows).rows) == TARIFF_ROWS_MAX
    with pytest.raises(BadTariff, match=f"line {TARIFF_ROWS_MAX + 2}: .*TARIFF_ROWS_MAX"):
        parse(rows + "99,one more,1\n")


def test_a_tariff_has_so_many_bytes_at_most() -> None:
    with pytest.raises(BadTariff, match="TARIFF_BYTES_MAX"):
        Tariff.parse(HEADER + "#" * TARIFF_BYTES_MAX)


PREFIXES = st.from_regex(r"[1-9][0-9]{0,5}", fullmatch=True)


@given(
    st.sets(PREFIXES, min_size=1, max_size=30), st.from_regex(r"[1-9][0-9]{3,9}", fullmatch=True)
)
def test_a_match_is_the_longest_row_that_begins_the_number(rows: set[str], number: str) -> None:
    tariff = parse("".join(f"{prefix},to {prefix},1\n" for prefix in rows))
    fitting = [prefix for prefix in rows if number.startswith(prefix)]
    if fitting:
        assert tariff.rate_for(number).prefix == max(fitting, key=len)
    else:
        with pytest.raises(NoTariff):
            tariff.rate_for(number)


@pytest.mark.parametrize(
    ("number", "destination"),
    [
        ("33123456789", "France fixed"),
        ("33612345678", "France mobile"),
        ("493012345678", "Germany fixed"),
        ("4915112345678", "Germany mobile"),
        ("447700900123", "United Kingdom mobile"),
        ("14165550100", "United States and Canada"),
        ("18765550100", "Jamaica"),
        ("393331234567", "Italy mobile"),
    ],
)
def test_the_default_tariff_knows(number: str, destination: str) -> None:
    assert default_tariff().rate_for(number).destination == destination


def example(region: str, kind: int) -> str | None:
    found = phonenumbers.example_number_for_type(region, kind)
    if found is None:
        return None
    return f"{found.country_code}{phonenumbers.national_significant_number(found)}"


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_the_default_tariff_has_a_rate_for_people_and_none_for_premium(region: str) -> None:
    tariff = default_tariff()
    for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE):
        number = example(region, kind)
        # The example of Chile is a special number; nobody lives on Diego Garcia.
        if number and (region, kind) != ("CL", PhoneNumberType.FIXED_LINE) and region != "IO":
            assert tariff.rate_for(number).millicredits_per_minute > 0
    for kind in (
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.PERSONAL_NUMBER,
    ):
        if number := example(region, kind):
            with pytest.raises(NoTariff, match=number):
                tariff.rate_for(number)


@pytest.mark.parametrize("prefix", ["870", "8816", "88213", "883", "979", "808", "878"])
def test_the_default_tariff_refuses_satellites_and_numbers_of_no_country(prefix: str) -> None:
    with pytest.raises(NoTariff):
        default_tariff().rate_for(prefix + "5551234")


def test_every_limit_of_billing_names_its_unit() -> None:
    units = ("MILLICREDITS", "SECONDS", "BYTES", "ROWS", "DIGITS", "CHARS")
    names = [name for name in vars(limits) if name.isupper()]
    assert names
    assert all(name.endswith("_MAX") and any(unit in name for unit in units) for name in names)
