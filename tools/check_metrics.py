"""Computes PSNR, SSIM and MS-SSIM with NumPy, for comparison with `fonds_nn::metrics`.

    python tools/check_metrics.py [FOLDER [PPM_FOLDER]]

Prints the figures that the tests of `crates/nn/src/metrics/ssim.rs` compare with, for a picture by
formula. With FOLDER, which holds `gt/{baboon,comic}.png` and `lq/{baboon,comic}.png` of the
Real-ESRGAN repository (`tests/data`), it also reproduces the figures that BasicSR publishes in
`basicsr/metrics/README.md`: the low-resolution picture enlarged four times with MATLAB's bicubic,
rounded, against the original, border 4. With PPM_FOLDER both pictures are written there for
`cargo run -p fonds-nn --example metrics -- A.ppm B.ppm 4`. Needs numpy and pillow.
"""

import sys
from math import ceil
from pathlib import Path

import numpy as np

PUBLISHED = {  # RGB PSNR, SSIM, Y PSNR, SSIM (BasicSR, NumPy column)
    "baboon": (20.419710, 0.391853, 22.441898, 0.453097),
    "comic": (20.239912, 0.567738, 21.720398, 0.585511),
}
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def window():
    k = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    return np.outer(k, k) / np.outer(k, k).sum()


def filtered(a):
    """Correlation with the two-dimensional window, inside the picture alone."""
    views = np.lib.stride_tricks.sliding_window_view(a, (11, 11))
    return np.einsum("yxij,ij->yx", views, window())


def similarity(a, b):
    """Means of the whole index and of contrast times structure."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ma, mb = filtered(a), filtered(b)
    va, vb, cov = filtered(a * a) - ma**2, filtered(b * b) - mb**2, filtered(a * b) - ma * mb
    cs = (2 * cov + c2) / (va + vb + c2)
    return ((2 * ma * mb + c1) / (ma**2 + mb**2 + c1) * cs).mean(), cs.mean()


def over_channels(function, a, b):
    return np.mean([function(a[..., c], b[..., c]) for c in range(a.shape[-1])])


def ssim(a, b):
    return over_channels(lambda x, y: similarity(x, y)[0], a, b)


def halved(a):
    h, w = a.shape[0] // 2, a.shape[1] // 2
    return a[: 2 * h, : 2 * w].reshape(h, 2, w, 2).mean((1, 3))


def ms_ssim(a, b):
    def channel(x, y):
        product = 1.0
        for i, weight in enumerate(SCALES):
            if i:
                x, y = halved(x), halved(y)
            whole, structure = similarity(x, y)
            product *= max(whole if i == 4 else structure, 0) ** weight
        return product

    return over_channels(channel, a, b)


def psnr(a, b):
    return 10 * np.log10(255**2 / ((a - b) ** 2).mean())


def luminance(a):
    return (a @ [65.481, 128.553, 24.966] / 255 + 16)[..., None]


def cropped(a, border):
    return a[border:-border, border:-border]


def formula(width, height):
    """The pair of the tests."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")

    def sample(x, y):
        return ((x * 7 + y * 13 + c * 29) * (x + 3 * y + 1)) % 251

    smooth = (x * 255 // width + y * 255 // height) // 2
    a = (sample(x, y) + 3 * smooth) // 4
    b = (sample(x // 2 * 2, y // 3 * 3) + 3 * smooth) // 4 * 15 // 16
    return a.astype(float), b.astype(float)


def cubic(x):
    a = np.abs(x)
    near = 1.5 * a**3 - 2.5 * a**2 + 1
    far = -0.5 * a**3 + 2.5 * a**2 - 4 * a + 2
    return np.where(a <= 1, near, np.where(a <= 2, far, 0))


def enlarged(a, out, axis):
    """MATLAB's `imresize` with the bicubic kernel, along one axis, enlarging."""
    n = a.shape[axis]
    scale = out / n
    centre = np.arange(1, out + 1) / scale + 0.5 * (1 - 1 / scale)
    index = np.floor(centre - 2)[:, None] + np.arange(ceil(4) + 2)
    weights = cubic(centre[:, None] - index)
    weights /= weights.sum(1, keepdims=True)
    mirror = np.concatenate([np.arange(n), np.arange(n)[::-1]])
    index = mirror[np.mod(index.astype(int) - 1, 2 * n)]
    result = np.einsum("op,op...->o...", weights, np.moveaxis(a, axis, 0)[index])
    return np.moveaxis(result, 0, axis)


def write_ppm(path, a):
    head = f"P6\n{a.shape[1]} {a.shape[0]}\n255\n".encode()
    path.write_bytes(head + a.astype(np.uint8).tobytes())


def published(folder, ppm):
    from PIL import Image

    for name, expected in PUBLISHED.items():
        large = np.array(Image.open(folder / "gt" / f"{name}.png")).astype(float)
        small = np.array(Image.open(folder / "lq" / f"{name}.png")).astype(float)
        up = enlarged(enlarged(small, large.shape[0], 0), large.shape[1], 1)
        up = np.clip(np.round(up), 0, 255)
        if ppm:
            write_ppm(ppm / f"{name}_gt.ppm", large)
            write_ppm(ppm / f"{name}_bic.ppm", up)
        a, b = cropped(large, 4), cropped(up, 4)
        ya, yb = luminance(a), luminance(b)
        found = (psnr(a, b), ssim(a, b), psnr(ya, yb), ssim(ya, yb))
        print(name, " ".join(f"{v:.6f}" for v in found), "published", *expected)


if __name__ == "__main__":
    a, b = formula(192, 176)
    print(f"formula RGB PSNR {psnr(a, b):.9f} SSIM {ssim(a, b):.9f} MS-SSIM {ms_ssim(a, b):.9f}")
    ya, yb = luminance(cropped(a, 4)), luminance(cropped(b, 4))
    print(f"formula Y, border 4: PSNR {psnr(ya, yb):.9f} SSIM {ssim(ya, yb):.9f}")
    if len(sys.argv) > 1:
        published(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
