"""National numbering plans: what a mobile number is in the largest countries, and what is any number of a country."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from phonenumbers import PhoneMetadata, PhoneNumberDesc

# Mobile numbers as they are dialled at home, from the plans that the regulators publish: the thirty largest countries
# and their neighbours in our part of the world.
_MOBILE = {
    "India": "0?[6-9][0-9]{9}", "China": "1[3-9][0-9]{9}", "Indonesia": "08[0-9]{8,11}", "Pakistan": "03[0-9]{9}",
    "Nigeria": "0[789][01][0-9]{8}", "Brazil": "0?[1-9][0-9]9[0-9]{8}", "Bangladesh": "01[3-9][0-9]{8}",
    "Russia": "89[0-9]{9}", "Ethiopia": "0[79][0-9]{8}", "Mexico": "[2-9][0-9]{9}", "Japan": "0[6-9]0[0-9]{8}",
    "Egypt": "01[0125][0-9]{8}", "Philippines": "09[0-9]{9}", "Congo (Kinshasa)": "0[89][0-9]{8}",
    "Vietnam": "0[35789][0-9]{8}", "Iran": "09[0-9]{9}", "Turkey": "05[0-9]{9}",
    "Germany": "01(?:5[0-9]{9,10}|[67][0-9]{8,9})", "Thailand": "0[689][0-9]{8}",
    "United Kingdom": "07[1-57-9][0-9]{8}", "Tanzania": "0[67][0-9]{8}",
    "France": "0[67][0-9]{8}", "South Africa": "0[678][0-9]{8}", "Italy": "3[0-9]{8,9}",
    "Kenya": "0(?:7[0-9]|1[01])[0-9]{7}", "Myanmar": "09[0-9]{7,9}", "Colombia": "3[0-5][0-9]{8}",
    "South Korea": "01[016-9][0-9]{7,8}", "Sudan": "0[19][0-9]{8}", "Uganda": "07[0-9]{8}", "Algeria": "0[567][0-9]{8}",
    "Spain": "[67][0-9]{8}", "Ukraine": "0(?:39|50|63|66|67|68|73|9[1-9])[0-9]{7}", "Poland": "[4-8][0-9]{8}",
    "Australia": "04[0-9]{8}", "Netherlands": "06[0-9]{8}", "Belgium": "04[5-9][0-9]{7}", "Sweden": "07[02369][0-9]{7}",
    "Switzerland": "07[5-9][0-9]{7}", "Austria": "06[5-9][0-9]{7,10}", "Ireland": "08[35679][0-9]{7}",
}  # fmt: skip
MOBILE = re.compile("|".join(_MOBILE.values()))
"""The digits of a mobile number, dialled at home in one of these countries."""

_REGIONS = (
    "US", "GB", "DE", "FR", "IT", "NL", "BE", "CH", "AT", "SE", "IE", "ES", "PL", "UA", "AU", "IN", "CN", "ID",
    "PK", "NG", "BR", "BD", "RU", "ET", "MX", "JP", "EG", "PH", "CD", "VN", "IR", "TR", "TH", "TZ", "ZA", "KE",
    "MM", "CO", "KR", "SD", "UG", "AR", "DZ",
)  # fmt: skip
_KINDS = ("fixed_line", "mobile", "toll_free", "shared_cost", "premium_rate", "voip", "uan", "personal_number")


def is_national(digits: str) -> bool:
    """Whether these digits are a number to call in one of these countries, with or without its trunk prefix."""
    return MOBILE.fullmatch(digits) is not None or any(_is_of(region, digits) for region in _REGIONS)


def _is_of(region: str, digits: str) -> bool:
    trunk, outline = _plan(region)
    starts = (0, len(trunk)) if trunk and digits.startswith(trunk) else (0,)
    return any(outline.fullmatch(digits, start) and _numbers(region).fullmatch(digits, start) for start in starts)


def _metadata(region: str) -> PhoneMetadata:
    metadata = PhoneMetadata.metadata_for_region(region)
    if metadata is None:
        raise LookupError(f"The phone library knows no region {region}.")
    return metadata


@cache
def _plan(region: str) -> tuple[str, re.Pattern[str]]:
    """The trunk prefix of a region and the outline of its numbers."""
    metadata = _metadata(region)
    return metadata.national_prefix or "", _union([metadata.general_desc])


@cache
def _numbers(region: str) -> re.Pattern[str]:
    """All numbers of a region by their kinds. It takes a moment to make, so it is made once it is needed."""
    metadata = _metadata(region)
    return _union([getattr(metadata, kind) for kind in _KINDS])


def _union(kinds: Sequence[PhoneNumberDesc | None]) -> re.Pattern[str]:
    patterns = [kind.national_number_pattern for kind in kinds if kind is not None]
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns if pattern))
