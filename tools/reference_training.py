#!/usr/bin/env python3
"""Makes fixtures/tensors/training_*.safetensors and penalties.safetensors: GAN trainers, by PyTorch.

    tools/reference_training.py fixtures/tensors [--only NAME …] [--list]

The first five steps of each trainer on tiny networks, from weights and batches that are in the file.
A file training_NAME has

- `init.NETWORK.KEY`, the state dicts before, and `final.NETWORK.KEY` after the steps (F64), with
  running statistics and the vectors of spectral normalisation, without `num_batches_tracked`;
  networks that do not learn (`features`) have no `final`, averages of weights have only that;
- `stepN.INPUT`, what a step is given: pictures are F16 (their values are multiples of 1/128, from 0 to 1
  of 1/256, and so exact), the rest F64;

and the metadata, JSON: `losses`, for each name the values of the five steps in float64, taken before the
step changes the weights; `losses_f32`, the same computed in float32 throughout; `config`. What a step
does is in the functions below. Tensors F64 are of float64 throughout.

penalties.safetensors has a critic (`weights.0.weight` …: 4×4 convolution of stride 2 and padding 1,
leaky ReLU 0.2, 4×4 convolution), `input.real`, `input.fake` and `input.epsilon`, and of the gradient
penalty of WGAN-GP (weight 10) and of R1 (γ 10) the value and the gradients: `gp.value`, `gp.grad.KEY`,
`r1.value`, `r1.grad.KEY`.

Prints one line a trainer: size, the losses of the first and last step, the largest difference of float32
relative to max(1, |loss|), and how far the weights that moved least and most moved. Needs torch, numpy
and safetensors.
"""

import argparse
import copy
import itertools
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from torch import nn

import reference_networks as networks

STEPS = 5
# Biases in front of a normalisation over the picture have gradients that are nothing but rounding.
IDLE = 1e-9


# ---- Weights and batches ---------------------------------------------------------------------------


def normal(shape, mean=0.0, std=1.0):
    """Numbers of f32, so that both precisions begin with the same."""
    return (mean + std * torch.randn(shape, dtype=torch.float32)).double()


def pictures(shape, signed=True):
    """Pictures of eight bits: from −1 to 1, or from 0 to 1."""
    grid = torch.randint(0, 257, shape, dtype=torch.int64).double()
    return grid / 128 - 1 if signed else grid / 256


def filled(module, gain=1.2):
    """The module in float64 with weights of which every one matters."""
    for child in module.modules():
        if isinstance(child, (nn.Conv2d, nn.ConvTranspose2d)):
            own = dict(child.named_parameters(recurse=False))
            weight = own.get("weight_orig", own.get("weight"))
            fan = weight[0].numel()
            if isinstance(child, nn.ConvTranspose2d):
                # At a stride of 2 a quarter of the taps meet an output; on one pixel, one tap does.
                fan = weight.shape[0] * (4 if child.stride[0] == 2 else 1)
            weight.data = normal(weight.shape, std=gain / math.sqrt(fan))
            if child.bias is not None:
                child.bias.data = normal(child.bias.shape, std=0.1)
            for name, vector in child.named_buffers(recurse=False):
                if name in ("weight_u", "weight_v"):
                    drawn = normal(vector.shape)
                    setattr(child, name, drawn / drawn.norm())
        elif isinstance(child, nn.BatchNorm2d):
            child.weight.data = normal(child.weight.shape, 1.0, 0.1)
            child.bias.data = normal(child.bias.shape, std=0.1)
            child.running_mean = normal(child.running_mean.shape, std=0.1)
            child.running_var = normal(child.running_var.shape, 1.0, 0.1).abs()
        elif isinstance(child, nn.PReLU):
            child.weight.data = normal(child.weight.shape, 0.2, 0.05)
    return module.double().train()


# ---- Losses ----------------------------------------------------------------------------------------


def bce(logits, is_real):
    target = torch.ones_like(logits) if is_real else torch.zeros_like(logits)
    return F.binary_cross_entropy_with_logits(logits, target)


def square(logits, is_real):
    return F.mse_loss(logits, torch.ones_like(logits) if is_real else torch.zeros_like(logits))


def gradient_penalty(critic, real, fake, epsilon, weight):
    x = (epsilon * real + (1 - epsilon) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return weight * ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()


def r1_penalty(critic, real, gamma):
    x = real.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return gamma / 2 * gradient.flatten(1).pow(2).sum(1).mean()


# ---- Trainers --------------------------------------------------------------------------------------


@dataclass
class Recipe:
    """Networks in float64, what each step is given, and what it does with them."""

    config: dict
    networks: dict
    inputs: list
    # optimisers(networks) and step(networks, optimisers, inputs) -> losses
    optimizers: object
    step: object
    fixed: tuple = ()
    average: float | None = None


def adam(modules, rate, betas):
    return torch.optim.Adam(itertools.chain(*(m.parameters() for m in modules)), lr=rate, betas=betas, eps=1e-8)


def learn(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def one_each(rate, betas):
    def make(nets):
        return {name: adam([nets[name]], rate, betas) for name in ("generator", "discriminator")}

    return make


def dcgan():
    """The discriminator on real and made pictures, then the generator on the same made pictures."""
    nets = {
        "generator": filled(networks.DcganGenerator(8, 2, 32)),
        "discriminator": filled(networks.DcganDiscriminator(2, 32)),
    }
    inputs = [{"real": pictures((4, 3, 32, 32)), "noise": normal((4, 8, 1, 1))} for _ in range(STEPS)]

    def step(nets, optimizers, given):
        g, d = nets["generator"], nets["discriminator"]
        fake = g(given["noise"])
        loss_real = bce(d(given["real"]), True)
        loss_d = loss_real + bce(d(fake.detach()), False)
        learn(optimizers["discriminator"], loss_d)
        loss_g = bce(d(fake), True)
        learn(optimizers["generator"], loss_g)
        return {"d": loss_d, "g": loss_g}

    config = {"latent": 8, "features": 2, "size": 32, "batch": 4, "rate": 2e-3, "betas": [0.5, 0.999]}
    return Recipe(config, nets, inputs, one_each(2e-3, (0.5, 0.999)), step)


def batch_statistics(module, function):
    """Calls with the running statistics of batch normalisation left alone."""
    layers = [child for child in module.modules() if isinstance(child, nn.BatchNorm2d)]
    for layer in layers:
        layer.momentum = 0.0
    found = function()
    for layer in layers:
        layer.momentum = 0.1
    return found


def wgan_gp():
    """Two steps of the critic with a gradient penalty, then one of the generator.

    Running statistics follow the generator's own step only. Of the critic, the last step's losses.
    """
    nets = {
        "generator": filled(networks.DcganGenerator(8, 2, 32)),
        "discriminator": filled(networks.DcganDiscriminator(2, 32, norm=False)),
    }
    inputs = []
    for _ in range(STEPS):
        given = {"noise.g": normal((4, 8, 1, 1))}
        for k in range(2):
            given[f"real.{k}"] = pictures((4, 3, 32, 32))
            given[f"noise.{k}"] = normal((4, 8, 1, 1))
            given[f"epsilon.{k}"] = torch.rand((4, 1, 1, 1), dtype=torch.float32).double()
        inputs.append(given)

    def step(nets, optimizers, given):
        g, d = nets["generator"], nets["discriminator"]
        for k in range(2):
            real = given[f"real.{k}"]
            with torch.no_grad():
                fake = batch_statistics(g, lambda: g(given[f"noise.{k}"]))
            wasserstein = d(fake).mean() - d(real).mean()
            penalty = gradient_penalty(d, real, fake, given[f"epsilon.{k}"], 10.0)
            loss_d = wasserstein + penalty
            learn(optimizers["discriminator"], loss_d)
        loss_g = -d(g(given["noise.g"])).mean()
        learn(optimizers["generator"], loss_g)
        return {"wasserstein": wasserstein, "penalty": penalty, "d": loss_d, "g": loss_g}

    config = {"latent": 8, "features": 2, "size": 32, "batch": 4, "critic_steps": 2, "penalty": 10.0}
    config |= {"rate": 1e-3, "betas": [0.0, 0.9]}
    return Recipe(config, nets, inputs, one_each(1e-3, (0.0, 0.9)), step)


def pix2pix():
    """The discriminator on pairs, made before real; then the generator."""
    nets = {
        "generator": filled(networks.pix2pix_generator(5, 2)),
        "discriminator": filled(networks.PatchGan(6, "batch", 2, depth=2)),
    }
    shape = (2, 3, 32, 32)
    inputs = [{"source": pictures(shape), "target": pictures(shape)} for _ in range(STEPS)]

    def step(nets, optimizers, given):
        g, d = nets["generator"], nets["discriminator"]
        source, target = given["source"], given["target"]
        fake = g.model(source)
        of_fake = d(torch.cat([source, fake.detach()], 1))
        of_real = d(torch.cat([source, target], 1))
        loss_d = 0.5 * (bce(of_fake, False) + bce(of_real, True))
        learn(optimizers["discriminator"], loss_d)
        g_gan = bce(d(torch.cat([source, fake], 1)), True)
        g_l1 = 100 * F.l1_loss(fake, target)
        learn(optimizers["generator"], g_gan + g_l1)
        return {"d": loss_d, "g_gan": g_gan, "g_l1": g_l1}

    config = {"levels": 5, "features": 2, "depth": 2, "size": 32, "batch": 2, "pixel_weight": 100.0}
    config |= {"rate": 2e-3, "betas": [0.5, 0.999]}
    return Recipe(config, nets, inputs, one_each(2e-3, (0.5, 0.999)), step)


def cyclegan():
    """Both generators under one optimiser, then both discriminators; no pool of earlier pictures."""
    nets = {name: filled(networks.CycleGenerator(1, "instance", 2)) for name in ("g_ab", "g_ba")}
    nets |= {name: filled(networks.PatchGan(3, "instance", 2, depth=2)) for name in ("d_a", "d_b")}
    shape = (1, 3, 16, 16)
    inputs = [{"a": pictures(shape), "b": pictures(shape)} for _ in range(STEPS)]

    def optimizers(nets):
        generators = adam([nets["g_ab"], nets["g_ba"]], 2e-3, (0.5, 0.999))
        return {"generators": generators, "discriminators": adam([nets["d_a"], nets["d_b"]], 2e-3, (0.5, 0.999))}

    def step(nets, optimizers, given):
        a, b = given["a"], given["b"]
        fake_b, fake_a = nets["g_ab"](a), nets["g_ba"](b)
        back_a, back_b = nets["g_ba"](fake_b), nets["g_ab"](fake_a)
        losses = {
            "idt_a": 10 * 0.5 * F.l1_loss(nets["g_ba"](a), a),
            "idt_b": 10 * 0.5 * F.l1_loss(nets["g_ab"](b), b),
            "gan_ab": square(nets["d_b"](fake_b), True),
            "gan_ba": square(nets["d_a"](fake_a), True),
            "cycle_a": 10 * F.l1_loss(back_a, a),
            "cycle_b": 10 * F.l1_loss(back_b, b),
        }
        learn(optimizers["generators"], sum(losses.values()))
        for name, real, fake in (("d_a", a, fake_a), ("d_b", b, fake_b)):
            of_real, of_fake = nets[name](real), nets[name](fake.detach())
            losses[name] = 0.5 * (square(of_real, True) + square(of_fake, False))
        learn(optimizers["discriminators"], losses["d_a"] + losses["d_b"])
        return losses

    config = {"features": 2, "blocks": 1, "depth": 2, "size": 16, "batch": 1, "cycle_weight": 10.0}
    config |= {"identity_weight": 0.5, "rate": 2e-3, "betas": [0.5, 0.999]}
    return Recipe(config, nets, inputs, optimizers, step)


class Eye(nn.Module):
    """Features to compare pictures by: two layers before their ReLU."""

    def __init__(self):
        super().__init__()
        sizes = ((3, 4), (4, 4), (4, 6))
        layers = itertools.chain(*([networks.conv(inner, outer), nn.ReLU()] for inner, outer in sizes))
        self.features = nn.Sequential(*list(layers)[:-1])

    def forward(self, x):
        first = self.features[0](x)
        return first, self.features[1:](first)


def srgan():
    """The generator against pixels, features and the discriminator; then the discriminator.

    The discriminator is looked at three times a step, and each look is a step of the power iteration.
    """
    nets = {
        "generator": filled(networks.Srvgg(4, 2, 2)),
        "discriminator": filled(networks.UnetDiscriminator(2)),
        "features": filled(Eye()),
    }
    low, high = (2, 3, 8, 8), (2, 3, 16, 16)
    inputs = [{"lq": pictures(low, False), "gt": pictures(high, False)} for _ in range(STEPS)]

    def step(nets, optimizers, given):
        g, d, eye = nets["generator"], nets["discriminator"], nets["features"]
        eye.requires_grad_(False)
        d.requires_grad_(False)
        out = g(given["lq"])
        pixel = F.l1_loss(out, given["gt"])
        seen = zip((0.1, 1.0), eye(out), eye(given["gt"]))
        perceptual = sum(weight * F.l1_loss(mine, its) for weight, mine, its in seen)
        g_gan = 0.1 * bce(d(out), True)
        learn(optimizers["generator"], pixel + perceptual + g_gan)
        d.requires_grad_(True)
        d_real = bce(d(given["gt"]), True)
        d_fake = bce(d(out.detach()), False)
        learn(optimizers["discriminator"], d_real + d_fake)
        return {"pixel": pixel, "perceptual": perceptual, "g_gan": g_gan, "d_real": d_real, "d_fake": d_fake}

    config = {"features": 4, "convolutions": 2, "scale": 2, "judge_features": 2, "batch": 2, "average": 0.9}
    config |= {"pixel_weight": 1.0, "layer_weights": [0.1, 1.0], "gan_weight": 0.1}
    config |= {"rate": 1e-3, "betas": [0.9, 0.99]}
    optimizers = one_each(1e-3, (0.9, 0.99))
    return Recipe(config, nets, inputs, optimizers, step, fixed=("features",), average=0.9)


# ---- Running and writing ---------------------------------------------------------------------------


def state(module):
    """The state dict without counters."""
    tensors = module.state_dict().items()
    return {key: tensor.clone() for key, tensor in tensors if tensor.dtype.is_floating_point}


def run(recipe, dtype):
    """Losses of all steps, networks after them and the average of the generator's weights."""
    nets = {name: copy.deepcopy(net).to(dtype) for name, net in recipe.networks.items()}
    optimizers = recipe.optimizers(nets)
    losses = {}
    average = state(nets["generator"]) if recipe.average else None
    for given in recipe.inputs:
        given = {name: tensor.to(dtype) for name, tensor in given.items()}
        for name, loss in recipe.step(nets, optimizers, given).items():
            losses.setdefault(name, []).append(loss.item())
        if average:
            for key, tensor in state(nets["generator"]).items():
                average[key] = recipe.average * average[key] + (1 - recipe.average) * tensor
    return losses, nets, average


def make(name, recipe, folder):
    losses, nets, average = run(recipe, torch.float64)
    losses_f32, _, _ = run(recipe, torch.float32)
    tensors, moved = {}, {}
    for network, before in recipe.networks.items():
        after = state(nets[network])
        for key, tensor in state(before).items():
            tensors[f"init.{network}.{key}"] = tensor
            if network not in recipe.fixed:
                tensors[f"final.{network}.{key}"] = after[key]
                moved[f"{network}.{key}"] = float((after[key] - tensor).abs().max())
    for key, tensor in (average or {}).items():
        tensors[f"final.average.{key}"] = tensor
    for i, given in enumerate(recipe.inputs):
        tensors |= {f"step{i}.{key}": tensor for key, tensor in given.items()}
    still = {key for key, far in moved.items() if far < IDLE}
    if any(not key.endswith("bias") for key in still):
        sys.exit(f"{name}: {sorted(still)} did not move")
    metadata = {
        "trainer": name,
        "torch": torch.__version__.split("+")[0],
        "config": json.dumps(recipe.config),
        "losses": json.dumps(losses),
        "losses_f32": json.dumps(losses_f32),
    }
    path = Path(folder, f"training_{name}.safetensors")
    save(tensors, path, metadata)
    ends = "  ".join(f"{key} {row[0]:.4g}→{row[-1]:.4g}" for key, row in losses.items())
    pairs = [(a, b) for key, row in losses.items() for a, b in zip(row, losses_f32[key])]
    error = max(abs(a - b) / max(1.0, abs(a)) for a, b in pairs)
    learned = [far for key, far in moved.items() if key not in still]
    print(
        f"{name:9} {path.stat().st_size / 1024:6.1f} KiB  f32 error {error:7.1g}  moved {min(learned):.2g} to"
        f" {max(learned):.2g}; {len(still)} idle biases of {len(moved)} tensors\n          {ends}",
        flush=True,
    )


def save(tensors, path, metadata):
    """Writes pictures, whose values allow it, as F16."""
    arrays = {}
    for key, tensor in tensors.items():
        array = np.ascontiguousarray(tensor.detach().numpy())
        if not np.isfinite(array).all():
            sys.exit(f"{path.name}: {key} is not finite")
        if key.startswith("step"):
            half = array.astype(np.float16)
            array = half if (half.astype(np.float64) == array).all() else array
        arrays[key] = array
    write(arrays, path, metadata)


def write(arrays, path, metadata):
    """Writes a file that is the same each time: safetensors leaves the order of metadata to chance."""
    save_file(arrays, path, metadata)
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = metadata
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    # Tensors begin at a multiple of eight.
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[end:])


def penalties(folder):
    critic = filled(nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 4)))
    real, fake = (normal((3, 3, 8, 8), std=0.5) for _ in range(2))
    epsilon = torch.rand((3, 1, 1, 1), dtype=torch.float32).double()
    tensors = {f"weights.{key}": tensor for key, tensor in state(critic).items()}
    tensors |= {"input.real": real, "input.fake": fake, "input.epsilon": epsilon}
    found = {
        "gp": gradient_penalty(critic, real, fake, epsilon, 10.0),
        "r1": r1_penalty(critic, real, 10.0),
    }
    keys, parameters = zip(*critic.named_parameters())
    report = []
    for name, value in found.items():
        tensors[f"{name}.value"] = value
        gradients = torch.autograd.grad(value, parameters, materialize_grads=True)
        tensors |= {f"{name}.grad.{key}": gradient for key, gradient in zip(keys, gradients)}
        sizes = " ".join(f"{key} {float(g.norm()):.3g}" for key, g in zip(keys, gradients))
        report.append(f"{name} {value.item():.6g}, gradients {sizes}")
    path = Path(folder, "penalties.safetensors")
    metadata = {"torch": torch.__version__.split("+")[0], "config": json.dumps({"gp": 10.0, "r1": 10.0})}
    save(tensors, path, metadata)
    print(f"penalties {path.stat().st_size / 1024:6.1f} KiB  " + "\n          ".join(report))


RECIPES = {"dcgan": dcgan, "wgan_gp": wgan_gp, "pix2pix": pix2pix, "cyclegan": cyclegan, "srgan": srgan}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", help="one name; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    arguments = parser.parse_args()
    names = [*RECIPES, "penalties"]
    if arguments.list:
        print("\n".join(names))
        return
    # Sums over several threads may come out in another order.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.only or names:
        if name not in names:
            sys.exit(f"no trainer {name}; known: {', '.join(names)}")
        # Each file by itself is the same, whatever was made before it.
        torch.manual_seed(names.index(name) + 1)
        if name == "penalties":
            penalties(arguments.folder)
        else:
            make(name, RECIPES[name](), arguments.folder)


if __name__ == "__main__":
    main()
