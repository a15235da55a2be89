"""Keccak-256, as Ethereum uses it: SHA-3 before the standard changed the padding, so `hashlib` has none."""

from __future__ import annotations

_MASK = (1 << 64) - 1
_RATE = 136
_ROTATIONS = (0, 36, 3, 41, 18, 1, 44, 10, 45, 2, 62, 6, 43, 15, 61, 28, 55, 25, 21, 56, 27, 20, 39, 8, 14)


def _round_constants() -> tuple[int, ...]:
    """The 24 constants, from the linear feedback register that defines them."""
    constants, register = [], 1
    for _ in range(24):
        constant = 0
        for power in range(7):
            if register & 1:
                constant |= 1 << ((1 << power) - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return tuple(constants)


_CONSTANTS = _round_constants()


def keccak_256(data: bytes) -> bytes:
    """The 32 bytes of the digest of at most 135 bytes: one block."""
    if len(data) >= _RATE:
        raise ValueError("One block holds at most 135 bytes.")
    block = bytearray(data.ljust(200, b"\0"))
    block[len(data)] ^= 0x01
    block[_RATE - 1] ^= 0x80
    # The lane at column x and row y of the state stands at 5 * x + y.
    state = [int.from_bytes(block[8 * (x + 5 * y) : 8 * (x + 5 * y) + 8], "little") for x in range(5) for y in range(5)]
    for constant in _CONSTANTS:
        state = _permuted(state)
        state[0] ^= constant
    return b"".join(state[5 * x].to_bytes(8, "little") for x in range(4))


def _permuted(state: list[int]) -> list[int]:
    columns = [state[x] ^ state[x + 1] ^ state[x + 2] ^ state[x + 3] ^ state[x + 4] for x in range(0, 25, 5)]
    mixed = [columns[x - 1] ^ _rotated(columns[(x + 1) % 5], 1) for x in range(5)]
    moved = [0] * 25
    for x in range(5):
        for y in range(5):
            lane = 5 * x + y
            moved[5 * y + (2 * x + 3 * y) % 5] = _rotated(state[lane] ^ mixed[x], _ROTATIONS[lane])
    return [moved[lane] ^ (~moved[(lane + 5) % 25] & moved[(lane + 10) % 25]) for lane in range(25)]


def _rotated(lane: int, by: int) -> int:
    return (lane << by | lane >> 64 - by) & _MASK
