#!/usr/bin/env python3
"""Makes fixtures/tensors/metrics.safetensors: pictures, and what PSNR, SSIM and MS-SSIM say of them.

    tools/reference_metrics.py fixtures/tensors

Tensors: `a`, `b` (F32, height × width × 3, whole numbers from 0 to 255), `gray_a`, `gray_b` (U8, height ×
width). The metadata's `values` is JSON:

- `psnr` and `ssim`, each for `rgb` and `y`, for a border of 0 and of 4 pixels cut off, as BasicSR counts
  (in float64 throughout; BasicSR's own conversion to Y is in float32): PSNR over all channels at once;
  SSIM after Wang et al. 2004 with a Gaussian window of 11 × 11, σ 1.5, K1 0.01, K2 0.03, only where the
  window lies inside, mean of the channels; Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255, unrounded;
- `ms_ssim` after Wang et al. 2003 with five scales, halved by the mean of 2 × 2 pixels: `even` of the first
  176 columns (every scale has even sides until the last), `odd` of all columns, where halving drops the
  last one of an odd number.

SSIM is computed by two ways, SciPy's convolution and scikit-image, which must agree. Needs numpy, scipy,
scikit-image and safetensors.
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve
from skimage.metrics import structural_similarity

from formula_values import units

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def picture(key, height, width, colors):
    """Waves, an edge and a little texture."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    texture = units(key, height * width * colors).reshape(height, width, colors)
    layers = []
    for c in range(colors):
        wave = np.sin((x * (3 + c) + y * (5 - c)) / 17) + np.cos((x - 2 * y) / (6 + 2 * c))
        edge = ((x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 3) ** 2) * (40 - 25 * c)
        layers.append(115 + 42 * wave + edge)
    return np.clip(np.round(np.stack(layers, -1) + 24 * (texture - 0.5)), 0, 255)


def degraded(key, image):
    """Blurred, darker, noisy."""
    noise = units(key, image.size).reshape(image.shape)
    blurred = gaussian_filter(image, (0.8, 0.8, 0))
    return np.clip(np.round(0.93 * blurred + 4 + 20 * (noise - 0.5)), 0, 255)


def luma(rgb):
    return (16 + rgb @ np.array([65.481, 128.553, 24.966]) / 255)[..., None]


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a - b) ** 2))


def maps(a, b):
    """SSIM and its contrast-structure part, wherever the window lies inside."""
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2

    def mean(image):
        return convolve(image, window, mode="valid", method="direct")

    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    structure = (2 * cov + c2) / (va + vb + c2)
    return (2 * ma * mb + c1) / (ma**2 + mb**2 + c1) * structure, structure


def ssim(a, b):
    found = []
    for c in range(a.shape[2]):
        own = maps(a[..., c], b[..., c])[0].mean()
        settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        _, full = structural_similarity(a[..., c], b[..., c], data_range=255, full=True, **settings)
        other = full[5:-5, 5:-5].mean()
        if abs(own - other) > 1e-10:
            sys.exit(f"two ways to SSIM differ: {own} and {other}")
        found.append(own)
    return float(np.mean(found))


def halved(image):
    height, width = (side // 2 * 2 for side in image.shape)
    image = image[:height, :width]
    return (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4


def ms_ssim(a, b):
    product = 1.0
    for i, weight in enumerate(WEIGHTS):
        whole, structure = (m.mean() for m in maps(a, b))
        product *= (whole if i == len(WEIGHTS) - 1 else structure) ** weight
        a, b = halved(a), halved(b)
    return float(product)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    a = picture("metrics", 48, 40, 3)
    b = degraded("metrics.degraded", a)
    gray_a = picture("metrics.gray", 192, 184, 1)
    gray_b = degraded("metrics.gray.degraded", gray_a)[..., 0]
    gray_a = gray_a[..., 0]
    found = {"psnr": {}, "ssim": {}}
    for name, convert in (("rgb", lambda image: image), ("y", luma)):
        for border in (0, 4):
            cut = slice(border, -border or None)
            pair = convert(a[cut, cut]), convert(b[cut, cut])
            found["psnr"][f"{name}_border_{border}"] = float(psnr(*pair))
            found["ssim"][f"{name}_border_{border}"] = ssim(*pair)
    found["ms_ssim"] = {"even": ms_ssim(gray_a[:, :176], gray_b[:, :176]), "odd": ms_ssim(gray_a, gray_b)}
    tensors = {
        "a": a.astype(np.float32),
        "b": b.astype(np.float32),
        "gray_a": gray_a.astype(np.uint8),
        "gray_b": gray_b.astype(np.uint8),
    }
    save_file(tensors, Path(sys.argv[1], "metrics.safetensors"), {"values": json.dumps(found)})
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
