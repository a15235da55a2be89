"""The formats of numbers that workbooks name by number alone (ECMA-376, part 1, 18.8.30).

Those whose look depends on the reader's country are written without their currency sign; all that East Asian programs
mean by 27 to 36 and 50 to 58 are dates.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_DATE = "yyyy-mm-dd"

BUILT_IN: Final[Mapping[int, str]] = MappingProxyType(
    {
        0: "General",
        1: "0",
        2: "0.00",
        3: "#,##0",
        4: "#,##0.00",
        5: "#,##0;-#,##0",
        6: "#,##0;-#,##0",
        7: "#,##0.00;-#,##0.00",
        8: "#,##0.00;-#,##0.00",
        9: "0%",
        10: "0.00%",
        11: "0.00E+00",
        12: "# ?/?",
        13: "# ??/??",
        14: _DATE,
        15: _DATE,
        16: _DATE,
        17: _DATE,
        18: "hh:mm",
        19: "hh:mm:ss",
        20: "hh:mm",
        21: "hh:mm:ss",
        22: "yyyy-mm-dd hh:mm",
        **dict.fromkeys(range(27, 32), _DATE),
        32: "hh:mm:ss",
        33: "hh:mm:ss",
        34: _DATE,
        35: _DATE,
        36: _DATE,
        **dict.fromkeys(range(37, 41), "#,##0.00;-#,##0.00"),
        **dict.fromkeys(range(41, 45), "#,##0.00;-#,##0.00"),
        45: "mm:ss",
        46: "[h]:mm:ss",
        47: "mm:ss.0",
        48: "##0.0E+0",
        49: "@",
        **dict.fromkeys(range(50, 59), _DATE),
    }
)
