#!/usr/bin/env python3
"""Fréchet and kernel distance between two sets of feature vectors, with NumPy and SciPy.

    tools/check_frechet.py fixtures/tensors
    tools/check_frechet.py A B

With one folder, makes frechet.safetensors: cases as `CASE.a` and `CASE.b` (F64, vectors × features) and, in
the metadata's `values` (JSON), for each case `frechet` and `kernel`, and `agreement`, how far the ways to
compute the Fréchet distance lie apart. With two files, .npy or .safetensors with one tensor, vectors ×
features, prints both distances.

- Fréchet distance (Dowson and Landau 1982; Heusel et al. 2017, arXiv:1706.08500): of normal distributions
  with the means and the covariances (divisor n − 1) of the sets, |m₁ − m₂|² + tr(C₁ + C₂ − 2 (C₁C₂)^½), the
  square of a distance. The trace of the root is the sum of the singular values of X₁X₂ᵀ / √((n₁ − 1)(n₂ − 1)),
  X centred: no covariance is made and none has to have full rank. A second way takes the eigenvalues of
  C₁^½ C₂ C₁^½, a third SciPy's `sqrtm` of C₁C₂ (only of full rank: it is not accurate otherwise).
- Kernel distance (Bińkowski et al. 2018, arXiv:1801.01401): the unbiased estimate of the squared maximum
  mean discrepancy with the kernel (x·y / d + 1)³ over all vectors at once; it can be below zero.

Needs numpy, scipy and safetensors.
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from scipy.linalg import sqrtm

from formula_values import units
from reference_training import write


def frechet(a, b):
    """The distance by singular values of the centred sets."""
    xa, xb = a - a.mean(0), b - b.mean(0)
    na, nb = len(a) - 1, len(b) - 1
    root = np.linalg.svd(xa @ xb.T, compute_uv=False).sum() / np.sqrt(na * nb)
    shift = a.mean(0) - b.mean(0)
    return shift @ shift + (xa**2).sum() / na + (xb**2).sum() / nb - 2 * root


def frechet_by_eigenvalues(a, b):
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(ca)
    half = vectors * np.sqrt(values.clip(0)) @ vectors.T
    root = np.sqrt(np.linalg.eigvalsh(half @ cb @ half).clip(0)).sum()
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca) + np.trace(cb) - 2 * root


def frechet_by_sqrtm(a, b):
    """None where a covariance lacks rank."""
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    if min(np.linalg.matrix_rank(c) for c in (ca, cb)) < a.shape[1]:
        return None
    root = np.trace(sqrtm(ca @ cb)).real
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca) + np.trace(cb) - 2 * root


def kernel(a, b):
    def k(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    def within(x):
        every = k(x, x)
        return (every.sum() - np.trace(every)) / (len(x) * (len(x) - 1))

    return within(a) + within(b) - 2 * k(a, b).mean()


def kernel_by_pairs(a, b):
    """The same by its definition, a pair at a time."""

    def k(x, y):
        return (float(np.dot(x, y)) / len(x) + 1) ** 3

    def within(x):
        return np.mean([k(p, q) for i, p in enumerate(x) for j, q in enumerate(x) if i != j])

    return within(a) + within(b) - 2 * np.mean([k(p, q) for p in a for q in b])


# ---- Cases -----------------------------------------------------------------------------------------


def drawn(key, count, features, mean=0.0, spread=1.0):
    """Correlated vectors that are not quite normal, by formula."""
    u = 2 * units(f"{key}.vectors", count * features).reshape(count, features) - 1
    mix = 2 * units(f"{key}.mix", features * features).reshape(features, features) - 1
    return mean + spread * (u + 0.3 * u**3) @ (np.eye(features) + 0.7 * mix)


def cases():
    a, b = drawn("plain.a", 40, 6), drawn("plain.b", 50, 6, 0.4, 1.3)
    yield "plain", a, b
    yield "same", a, a
    # Only the means differ.
    yield "moved", a, a + np.arange(6.0)
    # Far from zero the covariance is a small difference of large numbers.
    yield "far", a + 1000, b + 1000
    # Features as after a ReLU.
    yield "positive", drawn("positive.a", 60, 12).clip(0), drawn("positive.b", 45, 12, 0.2, 0.8).clip(0)
    # Two features that are the same and one that does not change: neither covariance has full rank.
    flat = []
    for key, count in (("flat.a", 40), ("flat.b", 50)):
        x = drawn(key, count, 6)
        x[:, 3], x[:, 5] = x[:, 1], 0.5
        flat.append(x)
    yield "flat", *flat
    # Only one lacks rank.
    yield "half_flat", flat[0], b
    # Fewer vectors than features, as for a few hundred pictures and 512 features.
    yield "few", drawn("few.a", 9, 24), drawn("few.b", 12, 24, 0.3, 1.2)
    yield "few_and_many", drawn("few.a", 9, 24), drawn("many.b", 70, 24, 0.3, 1.2)
    # The least that has a covariance.
    yield "two", drawn("two.a", 2, 6), drawn("two.b", 2, 6)


def make(folder):
    arrays, found = {}, {}
    for name, a, b in cases():
        arrays |= {f"{name}.a": a.copy(), f"{name}.b": b.copy()}
        distance = frechet(a, b)
        others = [way(a, b) for way in (frechet_by_eigenvalues, frechet_by_sqrtm)]
        apart = max(abs(other - distance) for other in others if other is not None)
        value, slow = kernel(a, b), kernel_by_pairs(a, b)
        # The root of an eigenvalue that should be 0 is the root of its rounding error.
        scale = a.var(0).sum() + b.var(0).sum()
        if apart > 1e-7 * scale or abs(value - slow) > 1e-12 * abs(k_scale(a, b)):
            sys.exit(f"{name}: the ways differ: Fréchet by {apart:g}, kernel by {abs(value - slow):g}")
        found[name] = {"frechet": float(distance), "kernel": float(value), "agreement": float(apart)}
        ranks = "/".join(str(np.linalg.matrix_rank(x - x.mean(0))) for x in (a, b))
        print(
            f"{name:13} {len(a):3} and {len(b):2} of {a.shape[1]:2}, ranks {ranks:6} Fréchet {distance:13.9g}"
            f" (ways differ by {apart:7.1g}), kernel {value:13.9g} (by pairs {abs(value - slow):7.1g})"
        )
    path = Path(folder, "frechet.safetensors")
    write(arrays, path, {"values": json.dumps(found)})
    print(f"{path.stat().st_size / 1024:.1f} KiB")


def k_scale(a, b):
    """The size of what the kernel distance is a difference of."""
    return ((a @ a.T / a.shape[1] + 1) ** 3).max() + ((b @ b.T / b.shape[1] + 1) ** 3).max()


def opened(path):
    if path.endswith(".npy"):
        return np.load(path).astype(np.float64)
    tensors = load_file(path)
    if len(tensors) != 1:
        sys.exit(f"{path}: {len(tensors)} tensors instead of one")
    return next(iter(tensors.values())).astype(np.float64)


def main():
    if len(sys.argv) == 2 and not sys.argv[1].startswith("-"):
        make(sys.argv[1])
    elif len(sys.argv) == 3:
        a, b = map(opened, sys.argv[1:])
        print(f"Fréchet {frechet(a, b):.9g}, kernel {kernel(a, b):.9g}")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
