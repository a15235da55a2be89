"""Numbers as lists and notes print them: ISO 29500-1, 17.18.59 (ST_NumberFormat)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

_ROMAN: Final = tuple(
    zip(
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        ("M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"),
        strict=True,
    )
)
_MOST: Final = 32_767  # Word counts no further
_MOST_REPEATED: Final = 780  # letters: "zzzz..." of thirty

_ONES: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS: Final = "zero ten twenty thirty forty fifty sixty seventy eighty ninety"
_NTH: Final = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}

_CHINESE: Final = "〇一二三四五六七八九"

# Letters that begin anew, doubled, after the last.
_LETTERS: Final[Mapping[str, str]] = {
    "upperLetter": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "lowerLetter": "abcdefghijklmnopqrstuvwxyz",
    "russianUpper": "АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЫЭЮЯ",
    "russianLower": "абвгдежзиклмнопрстуфхцчшщыэюя",
    "hebrew2": "אבגדהוזחטיכלמנסעפצקרשת",
    "arabicAlpha": "أبتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "arabicAbjad": "أبجدهوزحطيكلمنسعفصقرشتثخذضظغ",
    "thaiLetters": "กขคงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮ",
    "chicago": "*†‡§",
}

# Signs for the first numbers; those after the last are printed as digits.
_SIGNS: Final[Mapping[str, str]] = {
    "decimalEnclosedCircle": "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳",
    "decimalEnclosedCircleChinese": "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳",
    "decimalEnclosedFullstop": "⒈⒉⒊⒋⒌⒍⒎⒏⒐⒑⒒⒓⒔⒕⒖⒗⒘⒙⒚⒛",
    "decimalEnclosedParen": "⑴⑵⑶⑷⑸⑹⑺⑻⑼⑽⑾⑿⒀⒁⒂⒃⒄⒅⒆⒇",
    "ideographEnclosedCircle": "㊀㊁㊂㊃㊄㊅㊆㊇㊈㊉",
    "ideographTraditional": "甲乙丙丁戊己庚辛壬癸",
    "ideographZodiac": "子丑寅卯辰巳午未申酉戌亥",
    "ganada": "가나다라마바사아자차카타파하",
    "chosung": "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ",
    "aiueo": "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲン",
    "iroha": "イロハニホヘトチリヌルヲワカヨタレソツネナラムウヰノオクヤマケフコエテアサキユメミシヱヒモセスン",
}
_SAME: Final = {"aiueoFullWidth": "aiueo", "irohaFullWidth": "iroha"}

# Decimal numbers in other digits.
_DIGITS: Final[Mapping[str, str]] = {
    "decimalFullWidth": "０１２３４５６７８９",
    "decimalFullWidth2": "０１２３４５６７８９",
    "ideographDigital": _CHINESE,
    "japaneseDigitalTenThousand": _CHINESE,
    "taiwaneseDigital": "○一二三四五六七八九",
    "koreanDigital": "영일이삼사오육칠팔구",
    "koreanDigital2": "零一二三四五六七八九",
    "thaiNumbers": "๐๑๒๓๔๕๖๗๘๙",
    "hindiNumbers": "०१२३४५६७८९",
}

# Digits and the signs for ten, hundred and thousand; whether "one" is left out before ten.
_COUNTED: Final[Mapping[str, tuple[str, str, bool]]] = {
    "chineseCounting": (_CHINESE, "十百千", True),
    "chineseCountingThousand": (_CHINESE, "十百千", True),
    "taiwaneseCounting": (_CHINESE, "十百千", True),
    "taiwaneseCountingThousand": (_CHINESE, "十百千", True),
    "japaneseCounting": (_CHINESE, "十百千", True),
    "koreanCounting": ("영일이삼사오육칠팔구", "십백천", True),
    "chineseLegalSimplified": ("零壹贰叁肆伍陆柒捌玖", "拾佰仟", False),
    "ideographLegalTraditional": ("零壹貳參肆伍陸柒捌玖", "拾佰仟", False),
    "japaneseLegal": ("〇壱弐参四伍六七八九", "拾百阡", False),
}


def formatted(number: int, name: str, pattern: str | None, language: str) -> str | None:
    """A number in the format `name`; None in one that is unknown here, or not in this language.

    `pattern` is the pattern of a custom format, such as "001, 002, 003, ...". What a format can't express (0 in Roman
    numerals) is printed as digits.
    """
    name = _SAME.get(name, name)
    written = _PLAIN.get(name)
    if written is not None:
        return written(number)
    if name in _LETTERS:
        return _lettered(number, _LETTERS[name])
    if name in _SIGNS:
        return _SIGNS[name][number - 1] if 0 < number <= len(_SIGNS[name]) else str(number)
    if name in _DIGITS:
        return str(number).translate({ord("0") + digit: sign for digit, sign in enumerate(_DIGITS[name])})
    if name in _COUNTED:
        return _counted(number, *_COUNTED[name])
    if name in _ENGLISH:
        return _ENGLISH[name](number) if language.lower().startswith("en") else None
    if name == "custom" and pattern is not None and (first := pattern.partition(",")[0]).strip("0") == "1":
        return str(number).zfill(min(len(first), 10))
    return None


def _lettered(number: int, letters: str) -> str:
    if not 0 < number <= _MOST_REPEATED:
        return str(number)
    rounds, place = divmod(number - 1, len(letters))
    return letters[place] * (rounds + 1)


def _roman(number: int) -> str:
    if not 0 < number <= _MOST:
        return str(number)
    written = ""
    for worth, sign in _ROMAN:
        times, number = divmod(number, worth)
        written += sign * times
    return written


def _counted(number: int, digits: str, units: str, bare: bool) -> str:
    if not 0 < number < 10_000:
        return str(number)
    written = ""
    zero = False
    for place, digit in enumerate(str(number)):
        power = len(str(number)) - 1 - place
        if digit == "0":
            zero = True
            continue
        if zero:
            written += digits[0]
            zero = False
        silent = bare and digit == "1" and power == 1 and not written
        written += ("" if silent else digits[int(digit)]) + ("" if power == 0 else units[power - 1])
    return written


def _cardinal(number: int) -> str:
    if not 0 <= number <= _MOST:
        return str(number)
    return " ".join(_words(number)).capitalize()


def _ordinal(number: int) -> str:
    if not 0 <= number <= _MOST:
        return str(number)
    *before, last = _words(number)
    tens, hyphen, one = last.rpartition("-")
    nth = _NTH.get(one) or (f"{one[:-1]}ieth" if one.endswith("y") else f"{one}th")
    return " ".join([*before, f"{tens}{hyphen}{nth}"]).capitalize()


def _words(number: int) -> list[str]:
    ones, tens = _ONES.split(), _TENS.split()
    if number < 20:
        return [ones[number]]
    if number < 100:
        ten, one = divmod(number, 10)
        return [f"{tens[ten]}-{ones[one]}" if one else tens[ten]]
    worth, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    many, rest = divmod(number, worth)
    return [*_words(many), name, *(_words(rest) if rest else [])]


def _suffixed(number: int) -> str:
    teen = 10 < number % 100 < 20
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


_PLAIN: Final[Mapping[str, Callable[[int], str]]] = {
    "decimal": str,
    "decimalHalfWidth": str,
    "decimalZero": lambda number: f"{number:02}",
    "numberInDash": lambda number: f"- {number} -",
    "hex": lambda number: f"{number:X}",
    "upperRoman": _roman,
    "lowerRoman": lambda number: _roman(number).lower(),
    "none": lambda number: "",
    "bullet": lambda number: "",
}
_ENGLISH: Final[Mapping[str, Callable[[int], str]]] = {
    "ordinal": _suffixed,
    "cardinalText": _cardinal,
    "ordinalText": _ordinal,
}
