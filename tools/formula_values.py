"""Numbers that a formula gives for a name: both sides of a comparison can make them exactly.

    h = finalise(fnv1a64(key) + i · 0x9E3779B97F4A7C15)   (splitmix64's finaliser, mod 2^64)
    value = f32(lo + (hi − lo) · (h >> 40) / 2^24)         (in f64 up to the last rounding)

for the flat index i of a row-major tensor. Imported by the reference tools; needs numpy.
"""

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def fnv1a64(text):
    """FNV-1a of the text's UTF-8 bytes."""
    value = 0xCBF29CE484222325
    for byte in text.encode("utf-8"):
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def units(key, count):
    """`count` numbers in [0, 1), as f64; each is a multiple of 2^-24."""
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a64(key)) + np.arange(count, dtype=np.uint64) * GOLDEN
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) / 2.0**24


def values(key, shape, lo, hi):
    """The tensor of f32 for a key."""
    u = units(key, int(np.prod(shape, dtype=np.int64)))
    return (lo + (hi - lo) * u).astype(np.float32).reshape(shape)
