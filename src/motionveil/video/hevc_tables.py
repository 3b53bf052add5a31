"""Tables of HEVC's arithmetic code (Rec. ITU-T H.265, 9.3), and where its contexts begin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# The initial values of contexts; 154 for those that a type of slice does not have.
_SAME = {
    "sao_merge": [153],
    "bypass": [154],
    "qp_delta": [154, 154],
    "transform_skip": [139, 139],
}
# The values for I, P and B slices, between slashes.
_BY_TYPE = """
sao_type 200
/ 185
/ 160
split 139 141 157
/ 107 139 126
/ 107 139 126
skip 154 154 154
/ 197 185 201
/ 197 185 201
pred_mode 154
/ 149
/ 134
part_mode 184 154 154 154
/ 154 139 154 154
/ 154 139 154 154
intra_luma 184
/ 154
/ 183
intra_chroma 63
/ 152
/ 152
merge 154
/ 110
/ 154
merge_index 154
/ 122
/ 137
direction 154 154 154 154 154
/ 95 79 63 31 31
/ 95 79 63 31 31
reference 154 154
/ 153 153
/ 153 153
vector 154 154
/ 140 198
/ 169 198
predictor 154
/ 168
/ 168
residual 154
/ 79
/ 79
split_transform 153 138 138
/ 124 138 94
/ 224 167 122
luma 111 141
/ 153 111
/ 153 111
chroma 94 138 182 154 154
/ 149 107 167 154 154
/ 149 92 167 154 154
last_x 110 110 124 125 140 153 125 127 140 109 111 143 127 111 79 108 123 63
/ 125 110 94 110 95 79 125 111 110 78 110 111 111 95 94 108 123 108
/ 125 110 124 110 95 94 125 111 111 79 125 126 111 111 79 108 123 93
group 91 171 134 141
/ 121 140 61 154
/ 121 140 61 154
significant 111 111 125 110 110 94 124 108 124 107 125 141 179 153 125 107 125 141 179 153 125 107
  125 141 179 153 125 140 139 182 182 152 136 152 136 153 136 139 111 136 139 111
/ 155 154 139 153 139 123 123 63 153 166 183 140 136 153 154 166 183 140 136 153 154 166 183 140
  136 153 154 170 153 123 123 107 121 107 121 167 151 183 140 151 183 140
/ 170 154 139 153 139 123 123 63 124 166 183 140 136 153 154 166 183 140 136 153 154 166 183 140
  136 153 154 170 153 138 138 122 121 122 121 167 151 183 140 151 183 140
greater_one 140 92 137 138 140 152 138 139 153 74 149 92 139 107 122 152 140 179 166 182 140 227 122
  197
/ 154 196 196 167 154 152 167 182 182 134 149 136 153 121 136 137 169 194 166 167 154 167 137 182
/ 154 196 167 167 154 152 167 182 182 134 149 136 153 121 136 122 169 208 166 167 154 152 167 182
greater_two 138 153 136 167 152 152
/ 107 167 91 122 107 167
/ 107 167 91 107 107 167
"""


def _initial_values() -> dict[str, list[list[int]]]:
    """Return, for every kind of context, its values for I, P and B slices."""
    found: dict[str, list[list[int]]] = {name: [values] * 3 for name, values in _SAME.items()}
    name = ""
    for word in _BY_TYPE.split():
        if word == "/":
            found[name].append([])
        elif word.isdigit():
            found[name][-1].append(int(word))
        else:
            name = word
            found[name] = [[]]
    return {**found, "last_y": found["last_x"]}


_ALL = _initial_values()

FIRST: dict[str, int] = {}
"""The number of the first context of each kind."""
for _name, _values in _ALL.items():
    FIRST[_name] = sum(len(_ALL[other][0]) for other in FIRST)

_INITIAL = np.array([[v for values in _ALL.values() for v in values[t]] for t in range(3)])


def initial_contexts(kind: int, quality: int) -> NDArray[np.uint8]:
    """Return the contexts at the start of a slice (9.3.2.2): state times 2, and the likelier bit.

    Args:
        kind: 0, 1 or 2, which set of initial values.
        quality: The slice's quantiser, `SliceQpY`.
    """
    values = _INITIAL[kind]
    slope, offset = (values >> 4) * 5 - 45, ((values & 15) << 3) - 16
    state = np.clip((slope * min(max(quality, 0), 51) >> 4) + offset, 1, 126)
    likelier = state > 63
    return (np.where(likelier, state - 64, 63 - state) * 2 + likelier).astype(np.uint8)


_RANGES = """
128 176 208 240 128 167 197 227 128 158 187 216 123 150 178 205 116 142 169 195 111 135 160 185
105 128 152 175 100 122 144 166 95 116 137 158 90 110 130 150 85 104 123 142 81 99 117 135
77 94 111 128 73 89 105 122 69 85 100 116 66 80 95 110 62 76 90 104 59 72 86 99
56 69 81 94 53 65 77 89 51 62 73 85 48 59 69 80 46 56 66 76 43 53 63 72
41 50 59 69 39 48 56 65 37 45 54 62 35 43 51 59 33 41 48 56 32 39 46 53
30 37 43 50 29 35 41 48 27 33 39 45 26 31 37 43 24 30 35 41 23 28 33 39
22 27 32 37 21 26 30 35 20 24 29 33 19 23 27 31 18 22 26 30 17 21 25 28
16 20 23 27 15 19 22 25 14 18 21 24 14 17 20 23 13 16 19 22 12 15 18 21
12 14 17 20 11 14 16 19 11 13 15 18 10 12 15 17 10 12 14 16 9 11 13 15
9 11 12 14 8 10 12 14 8 9 11 13 7 9 11 12 7 9 10 12 7 8 10 11
6 8 9 11 6 7 9 10 6 7 8 9 2 2 2 2
"""
RANGES = np.array(_RANGES.split(), np.int64).reshape(64, 4)
"""The range of the less likely bit, by state and quarter of the range."""

_DOWN = """
0 0 1 2 2 4 4 5 6 7 8 9 9 11 11 12 13 13 15 15 16 16 18 18 19 19 21 21 22 22 23 24 24 25 26 26
27 27 28 29 29 30 30 30 31 32 32 33 33 33 34 34 35 35 35 36 36 36 37 37 37 38 38 63
"""


def _next_states() -> NDArray[np.uint8]:
    down = np.array(_DOWN.split(), int)
    table = np.zeros((2, 128), np.uint8)
    for context in range(128):
        state, bit = context >> 1, context & 1
        table[0, context] = 2 * min(state + 1, 62) + bit if state < 63 else context
        table[1, context] = 2 * down[state] + (bit if state else 1 - bit)
    return table


NEXT = _next_states()
"""What a context becomes after the likelier bit, and after the other one."""


def _scans() -> NDArray[np.int64]:
    """Return x and y of every place in diagonal, horizontal and vertical order (6.5.3 to 6.5.5)."""
    table = np.zeros((3, 4, 64, 2), np.int64)
    for log in range(4):
        side = 1 << log
        across = [(n % side, n // side) for n in range(side * side)]
        table[0, log, : side * side] = sorted(across, key=lambda xy: (xy[0] + xy[1], xy[0]))
        table[1, log, : side * side] = across
        table[2, log, : side * side] = [(y, x) for x, y in across]
    return table


SCANS = _scans()


def _numbers() -> NDArray[np.int64]:
    table = np.zeros((3, 4, 8, 8), np.int64)
    for scan in range(3):
        for log in range(4):
            for number, (x, y) in enumerate(SCANS[scan, log, : 1 << 2 * log]):
                table[scan, log, y, x] = number
    return table


NUMBERS = _numbers()
"""The number of a place (y, x) in each order."""

SMALL = np.array([0, 1, 4, 5, 2, 3, 4, 5, 6, 6, 8, 8, 7, 7, 8, 8])
"""Contexts of `sig_coeff_flag` in a block of 4 by 4 (Table 9-50)."""

_NARROW = """
0 1 2 2 2 2 3 5 7 8 10 11 13 15 16 18 19 20 21 22 23 23 24 24 25 25 26 27 27 28 28 29 29 30 31
"""
NARROW = np.array(_NARROW.split(), np.int64)
"""Directions of prediction of 4:2:2 chroma (Table 8-3)."""
