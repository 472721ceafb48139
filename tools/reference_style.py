#!/usr/bin/env python3
"""Style by optimisation in PyTorch, for comparison.

    tools/reference_style.py valley                          losses of L-BFGS on Rosenbrock's valley
    tools/reference_style.py fixture fixtures/tensors        makes style_optimize.safetensors
    tools/reference_style.py run WEIGHTS CONTENT.png STYLE.png ITERATIONS [THREADS]

`fixture` is a VGG of three blocks with weights by formula_values.py (keys `features.N.weight`, ±√(6 / fan-in),
and `features.N.bias`, 0 to 0.1) on pictures by formula (`content`, `style`, `style2`, 0 to 1): stored are the
losses (total, content, style, variation; F64) before each of the first iterations of Adam and of L-BFGS with
both searches, from the content. `run` takes SqueezeNet 1.1 as torchvision publishes it and prints the same for a
picture of its own as JSON; `crates/restore/examples/optimize_style.rs` prints what is to be compared.

Losses: content and style are mean squared differences of features and of Gram matrices / (c·h·w), each
divided by its target's mean square, summed over layers; variation is the mean absolute difference of
neighbours below plus that of neighbours beside. Total: content + 3 · style + 0.1 · variation.

Needs torch, numpy, safetensors, and Pillow for `run`.
"""

import json
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
DEVIATION = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
ALPHA, BETA, GAMMA = 1.0, 3.0, 0.1


def valley_loss(x):
    return sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(3))


def valley():
    for search in (None, "strong_wolfe"):
        x = torch.tensor([-1.2, 1, -1.2, 1], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([x], lr=1, max_iter=1, max_eval=1000, history_size=10, line_search_fn=search)
        losses = [valley_loss(x).item()]
        for _ in range(12):
            def closure():
                optimizer.zero_grad()
                loss = valley_loss(x)
                loss.backward()
                return loss
            optimizer.step(closure)
            losses.append(valley_loss(x).item())
        print(search, losses)


class Vgg:
    """VGG with blocks of these widths; layers by name."""

    def __init__(self, blocks, weights):
        self.blocks, self.weights = blocks, weights

    def __call__(self, x, names):
        found, index = {}, 0
        for block, widths in enumerate(self.blocks, 1):
            for conv in range(1, len(widths) + 1):
                x = F.conv2d(x, self.weights[f"features.{index}.weight"], self.weights[f"features.{index}.bias"], padding=1)
                x = F.relu(x)
                found[f"relu{block}_{conv}"] = x
                index += 2
            x = F.max_pool2d(x, 2, 2)
            index += 1
        return [found[name] for name in names]


class SqueezeNet:
    """SqueezeNet 1.1."""

    def __init__(self, weights):
        self.weights = weights

    def conv(self, x, key, **options):
        return F.relu(F.conv2d(x, self.weights[key + ".weight"], self.weights[key + ".bias"], **options))

    def __call__(self, x, names):
        found = {}
        x = found["relu1"] = self.conv(x, "features.0", stride=2)
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        for fire, index in zip(range(2, 10), (3, 4, 6, 7, 9, 10, 11, 12)):
            y = self.conv(x, f"features.{index}.squeeze")
            x = torch.cat([self.conv(y, f"features.{index}.expand1x1"),
                           self.conv(y, f"features.{index}.expand3x3", padding=1)], 1)
            found[f"fire{fire}"] = x
            if fire in (3, 5):
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            if all(name in found for name in names):
                break
        return [found[name] for name in names]


def gram(x):
    _, c, h, w = x.shape
    x = x.reshape(c, h * w)
    return x @ x.t() / (c * h * w)


class Objective:
    def __init__(self, network, content, styles, content_layers, style_layers):
        self.network = network
        self.mean, self.deviation = MEAN.to(content.dtype), DEVIATION.to(content.dtype)
        self.content_layers, self.style_layers = content_layers, style_layers
        with torch.no_grad():
            self.content = self.see(content, content_layers)
            total = sum(weight for weight, _ in styles)
            grams = [[weight / total * gram(x) for x in self.see(style, style_layers)] for weight, style in styles]
            self.style = [sum(layer) for layer in zip(*grams)]

    def see(self, x, names):
        return self.network((x - self.mean) / self.deviation, names)

    def __call__(self, x):
        both = self.see(x, self.content_layers + self.style_layers)
        made, seen = both[: len(self.content_layers)], both[len(self.content_layers):]
        content = sum(F.mse_loss(a, b) / b.square().mean() for a, b in zip(made, self.content))
        style = sum(F.mse_loss(gram(a), b) / b.square().mean() for a, b in zip(seen, self.style))
        variation = (x[:, :, 1:] - x[:, :, :-1]).abs().mean() + (x[:, :, :, 1:] - x[:, :, :, :-1]).abs().mean()
        return ALPHA * content + BETA * style + GAMMA * variation, content, style, variation


def descend(objective, start, method, iterations, history=20):
    x = start.clone().requires_grad_(True)
    losses = []

    def note():
        with torch.no_grad():
            losses.append([float(loss) for loss in objective(x)])

    if method == "adam":
        optimizer = torch.optim.Adam([x], lr=0.02)
        for _ in range(iterations):
            optimizer.zero_grad()
            parts = objective(x)
            losses.append([float(loss.detach()) for loss in parts])
            parts[0].backward()
            optimizer.step()
        note()
        return losses
    search = {"fixed": None, "wolfe": "strong_wolfe"}[method]
    optimizer = torch.optim.LBFGS([x], lr=1, max_iter=1, max_eval=1000, history_size=history, line_search_fn=search,
                                  tolerance_grad=0, tolerance_change=1e-9)

    def closure():
        optimizer.zero_grad()
        loss = objective(x)[0]
        loss.backward()
        return loss

    for _ in range(iterations):
        note()
        optimizer.step(closure)
    note()
    return losses


def fixture(folder):
    from safetensors.numpy import save_file

    from formula_values import values

    blocks = [[8], [16], [24]]
    weights, inner, index = {}, 3, 0
    for widths in blocks:
        for outer in widths:
            bound = (6.0 / (9 * inner)) ** 0.5
            weights[f"features.{index}.weight"] = values(f"features.{index}.weight", (outer, inner, 3, 3), -bound, bound)
            weights[f"features.{index}.bias"] = values(f"features.{index}.bias", (outer,), 0, 0.1)
            inner, index = outer, index + 2
        index += 1
    network = Vgg(blocks, {key: torch.from_numpy(value).double() for key, value in weights.items()})
    height, width = 36, 44
    content = torch.from_numpy(values("content", (1, 3, height, width), 0, 1)).double()
    style = torch.from_numpy(values("style", (1, 3, 40, 32), 0, 1)).double() ** 3
    style2 = torch.from_numpy(values("style2", (1, 3, 24, 28), 0, 1)).double() * 0.5
    objective = Objective(network, content, [(0.7, style), (0.3, style2)], ["relu2_1"],
                          ["relu1_1", "relu2_1", "relu3_1"])
    tensors = {name: np.array(descend(objective, content, name, 20)) for name in ("adam", "fixed", "wolfe")}
    for name, losses in tensors.items():
        print(name, losses[0][0], losses[-1])
    save_file(tensors, f"{folder}/style_optimize.safetensors", metadata={"made_by": "tools/reference_style.py"})


def run(weights, content, style, iterations, threads):
    from PIL import Image
    from safetensors.torch import load_file

    torch.set_num_threads(threads)
    picture = lambda path: torch.from_numpy(np.asarray(Image.open(path).convert("RGB"), dtype=np.float32) / 255).permute(2, 0, 1)[None].contiguous()
    content, style = picture(content), picture(style)
    objective = Objective(SqueezeNet({key: value.float() for key, value in load_file(weights).items()}), content, [(1.0, style)], ["fire5"],
                          ["relu1", "fire2", "fire3", "fire5", "fire7"])
    report = {}
    for method in ("adam", "fixed", "wolfe"):
        begun = time.time()
        losses = descend(objective, content, method, iterations)
        report[method] = {"first": [row[0] for row in losses[:11]], "last": losses[-1], "least": min(row[0] for row in losses),
                          "seconds": time.time() - begun}
    print(json.dumps(report))


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what == "valley":
        valley()
    elif what == "fixture":
        fixture(sys.argv[2])
    elif what == "run":
        run(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6]) if len(sys.argv) > 6 else 2)
    else:
        sys.exit(__doc__)
