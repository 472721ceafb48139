"""Networks of image restoration and translation as plain PyTorch modules, as independent references.

Each module has the keys of the checkpoints its authors published. Where the published keys are no valid
attribute names or the layout differs, the module has its own keys and a function that renames them.
The definitions follow the papers and the published checkpoints.

Imported by reference_tensors.py, reference_training.py, bench_networks.py and bench_training.py; needs
torch.
"""

import re

import torch
import torch.nn.functional as F
from torch import nn


def conv(inner, outer, kernel=3, stride=1, bias=True, groups=1, padding=None):
    """A convolution that keeps the size at stride 1."""
    padding = kernel // 2 if padding is None else padding
    return nn.Conv2d(inner, outer, kernel, stride, padding, bias=bias, groups=groups)


def repeat(count, make):
    return nn.ModuleList(make() for _ in range(count))


# ---- Super-resolution ------------------------------------------------------------------------------


class Srvgg(nn.Module):
    """SRVGGNetCompact of Real-ESRGAN: input in [0, 1]."""

    def __init__(self, features=64, convolutions=32, scale=4, colors=3):
        super().__init__()
        self.scale = scale
        self.body = nn.ModuleList([conv(colors, features), nn.PReLU(features)])
        for _ in range(convolutions):
            self.body += [conv(features, features), nn.PReLU(features)]
        self.body.append(conv(features, colors * scale * scale))

    def forward(self, x):
        y = x
        for layer in self.body:
            y = layer(y)
        return F.pixel_shuffle(y, self.scale) + F.interpolate(x, scale_factor=self.scale, mode="nearest")


class DenseBlock(nn.Module):
    def __init__(self, features, growth):
        super().__init__()
        for i in range(1, 6):
            outer = features if i == 5 else growth
            setattr(self, f"conv{i}", conv(features + (i - 1) * growth, outer))

    def forward(self, x):
        seen = [x]
        for i in range(1, 5):
            seen.append(F.leaky_relu(getattr(self, f"conv{i}")(torch.cat(seen, 1)), 0.2))
        return x + 0.2 * self.conv5(torch.cat(seen, 1))


class Rrdb(nn.Module):
    def __init__(self, features, growth):
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(features, growth) for _ in range(3))

    def forward(self, x):
        return x + 0.2 * self.rdb3(self.rdb2(self.rdb1(x)))


class RrdbNet(nn.Module):
    """RRDBNet with the keys of BasicSR: input in [0, 1]."""

    def __init__(self, blocks=23, features=64, growth=32, unshuffle=1, doublings=2, colors=3):
        super().__init__()
        self.unshuffle, self.doublings = unshuffle, doublings
        self.conv_first = conv(colors * unshuffle**2, features)
        self.body = repeat(blocks, lambda: Rrdb(features, growth))
        self.conv_body = conv(features, features)
        for i in range(1, doublings + 1):
            setattr(self, f"conv_up{i}", conv(features, features))
        self.conv_hr = conv(features, features)
        self.conv_last = conv(features, colors)

    def forward(self, x):
        if self.unshuffle > 1:
            x = F.pixel_unshuffle(x, self.unshuffle)
        first = y = self.conv_first(x)
        for block in self.body:
            y = block(y)
        y = first + self.conv_body(y)
        for i in range(1, self.doublings + 1):
            y = F.interpolate(y, scale_factor=2, mode="nearest")
            y = F.leaky_relu(getattr(self, f"conv_up{i}")(y), 0.2)
        return self.conv_last(F.leaky_relu(self.conv_hr(y), 0.2))


def rrdb_bsrgan_key(key):
    """The key of a checkpoint of BSRGAN or RealSR for a key of BasicSR."""
    key = re.sub(r"^body\.(\d+)\.rdb(\d)", r"RRDB_trunk.\1.RDB\2", key)
    key = re.sub(r"^conv_up(\d)", r"upconv\1", key)
    return key.replace("conv_body", "trunk_conv").replace("conv_hr", "HRconv")


def rrdb_esrgan_key(blocks, doublings):
    """The keys of the first ESRGAN checkpoints: one Sequential, numbered through."""
    after = 3 * doublings

    def rename(key):
        key = re.sub(r"^body\.(\d+)\.rdb(\d)\.conv(\d)", r"model.1.sub.\1.RDB\2.conv\3.0", key)
        key = re.sub(r"^conv_up(\d)", lambda m: f"model.{3 * int(m[1])}", key)
        key = key.replace("conv_first", "model.0").replace("conv_body", f"model.1.sub.{blocks}")
        return key.replace("conv_hr", f"model.{after + 2}").replace("conv_last", f"model.{after + 4}")

    return rename


class PlainResidual(nn.Module):
    """conv, ReLU, conv, as EDSR has it."""

    def __init__(self, features, factor=1.0):
        super().__init__()
        self.factor = factor
        self.conv1, self.conv2 = conv(features, features), conv(features, features)

    def forward(self, x):
        return x + self.factor * self.conv2(F.relu(self.conv1(x)))


class Edsr(nn.Module):
    """EDSR with the keys of BasicSR: input in [0, 1]; range and mean are not in the checkpoint."""

    MEAN = (0.4488, 0.4371, 0.4040)

    def __init__(self, features=64, blocks=16, scale=4, factor=1.0):
        super().__init__()
        self.conv_first = conv(3, features)
        self.body = repeat(blocks, lambda: PlainResidual(features, factor))
        self.conv_after_body = conv(features, features)
        steps = {2: [2], 3: [3], 4: [2, 2]}[scale]
        self.upsample = nn.Sequential()
        for step in steps:
            self.upsample.append(conv(features, features * step * step))
            self.upsample.append(nn.PixelShuffle(step))
        self.conv_last = conv(features, 3)

    def forward(self, x):
        # The mean is a tensor of f32 in BasicSR, so that is the number to use.
        mean = torch.tensor(self.MEAN, dtype=torch.float32).to(x.dtype).view(1, 3, 1, 1)
        first = y = self.conv_first((x - mean) * 255.0)
        for block in self.body:
            y = block(y)
        y = self.conv_after_body(y) + first
        return self.conv_last(self.upsample(y)) / 255.0 + mean


class MsrResNet(nn.Module):
    """MSRResNet of BasicSR, ×4: input in [0, 1]."""

    def __init__(self, features=64, blocks=16):
        super().__init__()
        self.conv_first = conv(3, features)
        self.body = repeat(blocks, lambda: PlainResidual(features))
        self.upconv1, self.upconv2 = (conv(features, 4 * features) for _ in range(2))
        self.conv_hr, self.conv_last = conv(features, features), conv(features, 3)

    def forward(self, x):
        y = F.leaky_relu(self.conv_first(x), 0.1)
        for block in self.body:
            y = block(y)
        for up in (self.upconv1, self.upconv2):
            y = F.leaky_relu(F.pixel_shuffle(up(y), 2), 0.1)
        y = self.conv_last(F.leaky_relu(self.conv_hr(y), 0.1))
        return y + F.interpolate(x, scale_factor=4, mode="bilinear", align_corners=False)


class NormedResidual(nn.Module):
    """conv, norm, PReLU with one slope, conv, norm."""

    def __init__(self, features, norm, activation, bias):
        super().__init__()
        self.conv1, self.bn1 = conv(features, features, bias=bias), norm(features)
        setattr(self, activation, nn.PReLU())
        self.activation = activation
        self.conv2, self.bn2 = conv(features, features, bias=bias), norm(features)

    def forward(self, x):
        y = getattr(self, self.activation)(self.bn1(self.conv1(x)))
        return x + self.bn2(self.conv2(y))


class ShuffleUp(nn.Module):
    """conv to four times the channels, pixel shuffle, PReLU with one slope."""

    def __init__(self, features, activation):
        super().__init__()
        self.conv = conv(features, 4 * features)
        setattr(self, activation, nn.PReLU())
        self.activation = activation

    def forward(self, x):
        return getattr(self, self.activation)(F.pixel_shuffle(self.conv(x), 2))


class Srgan(nn.Module):
    """The generator of leftthomas/SRGAN, ×4, with the keys of its older checkpoint: input in [0, 1].

    That checkpoint has a PReLU at `block7.1` where later ones have batch normalisation, and it was
    written before `num_batches_tracked`.
    """

    def __init__(self, features=64, blocks=5):
        super().__init__()
        self.block1 = nn.Sequential(conv(3, features, 9), nn.PReLU())
        for i in range(2, blocks + 2):
            setattr(self, f"block{i}", NormedResidual(features, nn.BatchNorm2d, "prelu", True))
        self.block7 = nn.Sequential(conv(features, features), nn.PReLU())
        ups = [ShuffleUp(features, "prelu") for _ in range(2)]
        self.block8 = nn.Sequential(*ups, conv(features, 3, 9))
        self.blocks = blocks

    def forward(self, x):
        first = y = self.block1(x)
        for i in range(2, self.blocks + 2):
            y = getattr(self, f"block{i}")(y)
        return (torch.tanh(self.block8(first + self.block7(y))) + 1) / 2


class FastSrgan(nn.Module):
    """The generator of HasnainRaz/Fast-SRGAN, ×4: input and output in [-1, 1]."""

    def __init__(self, features=64, blocks=8):
        super().__init__()
        self.neck = nn.Sequential(conv(3, features), nn.PReLU())
        stem = [NormedResidual(features, nn.InstanceNorm2d, "relu1", False) for _ in range(blocks)]
        self.stem = nn.Sequential(*stem)
        self.bottleneck = nn.Sequential(conv(features, features, bias=False), nn.InstanceNorm2d(features))
        self.upsampling = nn.Sequential(*(ShuffleUp(features, "relu") for _ in range(2)))
        self.head = nn.Sequential(conv(features, 3), nn.Tanh())

    def forward(self, x):
        first = self.neck(x)
        return self.head(self.upsampling(first + self.bottleneck(self.stem(first))))


class ConvRelu(nn.Module):
    """A convolution at key `body.0` and ReLU."""

    def __init__(self, inner, outer):
        super().__init__()
        self.body = nn.Sequential(conv(inner, outer, 1), nn.ReLU())

    def forward(self, x):
        return self.body(x)


class CarnResidual(nn.Module):
    def __init__(self, features, groups):
        super().__init__()
        self.body = nn.Sequential(
            conv(features, features, groups=groups),
            nn.ReLU(),
            conv(features, features, groups=groups),
            nn.ReLU(),
            conv(features, features, 1),
        )

    def forward(self, x):
        return F.relu(x + self.body(x))


def cascade(x, block, merge):
    """Three blocks; after each, everything so far is merged by a 1×1 convolution."""
    seen = out = x
    for i in range(1, 4):
        seen = torch.cat([seen, block(i, out)], 1)
        out = merge(i, seen)
    return out


class CarnBlock(nn.Module):
    """A cascade of one and the same residual block."""

    def __init__(self, features, groups):
        super().__init__()
        self.b1 = CarnResidual(features, groups)
        for i in range(1, 4):
            setattr(self, f"c{i}", ConvRelu(features * (i + 1), features))

    def forward(self, x):
        return cascade(x, lambda _, y: self.b1(y), lambda i, y: getattr(self, f"c{i}")(y))


class Shift(nn.Module):
    def __init__(self):
        super().__init__()
        self.shifter = conv(3, 3, 1)

    def forward(self, x):
        return self.shifter(x)


class CarnM(nn.Module):
    """CARN-M, one checkpoint for ×2, ×3 and ×4: input in [0, 1]."""

    def __init__(self, features=64, groups=4):
        super().__init__()
        self.sub_mean, self.add_mean = Shift(), Shift()
        self.entry = conv(3, features)
        for i in range(1, 4):
            setattr(self, f"b{i}", CarnBlock(features, groups))
        for i in range(1, 4):
            setattr(self, f"c{i}", ConvRelu(features * (i + 1), features))
        self.upsample = nn.Module()
        for scale, steps in ((2, [2]), (3, [3]), (4, [2, 2])):
            head = nn.Module()
            head.body = nn.Sequential()
            for step in steps:
                up = conv(features, features * step * step, groups=groups)
                head.body.extend([up, nn.ReLU(), nn.PixelShuffle(step)])
            setattr(self.upsample, f"up{scale}", head)
        self.exit = conv(features, 3)

    def forward(self, x):
        first = self.entry(self.sub_mean(x))
        y = cascade(first, lambda i, z: getattr(self, f"b{i}")(z), lambda i, z: getattr(self, f"c{i}")(z))
        heads = {f"x{s}": getattr(self.upsample, f"up{s}").body for s in (2, 3, 4)}
        return {name: self.add_mean(self.exit(head(y))) for name, head in heads.items()}


class Vdsr(nn.Module):
    """VDSR on luminance in [0, 1] that has been enlarged before; no biases."""

    def __init__(self, features=64, layers=20):
        super().__init__()
        self.residual_layer = nn.ModuleList()
        for _ in range(layers - 2):
            layer = nn.Module()
            layer.conv = conv(features, features, bias=False)
            self.residual_layer.append(layer)
        self.input = conv(1, features, bias=False)
        self.output = conv(features, 1, bias=False)

    def forward(self, x):
        y = F.relu(self.input(x))
        for layer in self.residual_layer:
            y = F.relu(layer.conv(y))
        return x + self.output(y)


class Fsrcnn(nn.Module):
    """FSRCNN d56 s12 m4 with a sub-pixel head, on luminance in [0, 1].

    The bias of the head is one number, added after the pixel shuffle.
    """

    def __init__(self, scale=4, wide=56, narrow=12, middle=4):
        super().__init__()
        self.scale, self.last = scale, middle + 4
        sizes = [(1, wide, 5), (wide, narrow, 1), *[(narrow, narrow, 3)] * middle, (narrow, wide, 1)]
        for i, (inner, outer, kernel) in enumerate(sizes, 1):
            setattr(self, f"conv{i}", conv(inner, outer, kernel))
            setattr(self, f"prelu{i}", nn.PReLU(outer))
        setattr(self, f"conv{self.last}", conv(wide, scale * scale, 1, bias=False))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        for i in range(1, self.last):
            x = getattr(self, f"prelu{i}")(getattr(self, f"conv{i}")(x))
        return F.pixel_shuffle(getattr(self, f"conv{self.last}")(x), self.scale) + self.bias

    @staticmethod
    def key(key):
        key = re.sub(r"^conv(\d)\.weight", r"f\1", key)
        key = re.sub(r"^conv(\d)\.bias", r"b\1", key)
        return re.sub(r"^prelu(\d)\.weight", r"alpha\1", key).replace("bias", "b8")


class Upconv7(nn.Module):
    """waifu2x upconv_7: input in [0, 1], padded by seven pixels of its edge."""

    SIZES = ((3, 16), (16, 32), (32, 64), (64, 128), (128, 128), (128, 256))

    def __init__(self):
        super().__init__()
        for i, (inner, outer) in enumerate(self.SIZES, 1):
            setattr(self, f"conv{i}", conv(inner, outer, padding=0))
        self.conv7 = nn.ConvTranspose2d(256, 3, 4, 2, 3)

    def forward(self, x):
        y = F.pad(x, (7, 7, 7, 7), mode="replicate")
        for i in range(1, 7):
            y = F.leaky_relu(getattr(self, f"conv{i}")(y), 0.1)
        return self.conv7(y)


# ---- Noise -----------------------------------------------------------------------------------------


class DnCnn(nn.Module):
    """DnCNN with the keys of KAIR: input in [0, 1]. With `norm`, batch normalisation with eps 1e-4.

    FDnCNN is the same chain with a noise level map as the last input channel and without the residual.
    """

    def __init__(self, inner=1, outer=1, features=64, layers=17, norm=False, residual=True):
        super().__init__()
        self.residual = residual
        self.model = nn.Sequential(conv(inner, features), nn.ReLU())
        for _ in range(layers - 2):
            self.model.append(conv(features, features))
            if norm:
                self.model.append(nn.BatchNorm2d(features, eps=1e-4))
            self.model.append(nn.ReLU())
        self.model.append(conv(features, outer))

    def forward(self, x):
        return x - self.model(x) if self.residual else self.model(x)


# ---- U-Net -----------------------------------------------------------------------------------------


class DoubleConv(nn.Module):
    def __init__(self, inner, outer, middle=None):
        super().__init__()
        layers = []
        for a, b in ((inner, middle or outer), (middle or outer, outer)):
            layers += [conv(a, b, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        self.double_conv = nn.Sequential(*layers)

    def forward(self, x):
        return self.double_conv(x)


class UnetUp(nn.Module):
    def __init__(self, inner, outer, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv = DoubleConv(inner, outer, inner // 2)
        else:
            self.up = nn.ConvTranspose2d(inner, inner // 2, 2, 2)
            self.conv = DoubleConv(inner, outer)

    def forward(self, x, skip):
        x = self.up(x)
        rows, columns = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
        x = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        return self.conv(torch.cat([skip, x], 1))


class Unet(nn.Module):
    """The U-Net of Ronneberger et al. with padding, keys of milesial/Pytorch-UNet."""

    def __init__(self, inner=3, outer=2, base=64, bilinear=False):
        super().__init__()
        half = 2 if bilinear else 1
        self.inc = DoubleConv(inner, base)
        for i in range(1, 5):
            down = nn.Module()
            wide = base * 2**i // (half if i == 4 else 1)
            down.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(base * 2 ** (i - 1), wide))
            setattr(self, f"down{i}", down)
        for i in range(1, 5):
            wide = base * 2 ** (5 - i)
            outer_i = wide // 2 if i == 4 else wide // 2 // half
            setattr(self, f"up{i}", UnetUp(wide, outer_i, bilinear))
        self.outc = nn.Module()
        self.outc.conv = conv(base, outer, 1)

    def forward(self, x):
        levels = [self.inc(x)]
        for i in range(1, 5):
            levels.append(getattr(self, f"down{i}").maxpool_conv(levels[-1]))
        y = levels.pop()
        for i in range(1, 5):
            y = getattr(self, f"up{i}")(y, levels.pop())
        return self.outc.conv(y)


# ---- CycleGAN and pix2pix --------------------------------------------------------------------------


def norm_layer(kind, features):
    return nn.BatchNorm2d(features) if kind == "batch" else nn.InstanceNorm2d(features)


class CycleBlock(nn.Module):
    def __init__(self, features, norm):
        super().__init__()
        layers = []
        for last in (False, True):
            layers += [nn.ReflectionPad2d(1), conv(features, features, padding=0, bias=norm != "batch")]
            layers.append(norm_layer(norm, features))
            if not last:
                layers.append(nn.ReLU())
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.conv_block(x)


class CycleGenerator(nn.Module):
    """The ResnetGenerator of CycleGAN: input and output in [-1, 1]."""

    def __init__(self, blocks=9, norm="instance", features=64):
        super().__init__()
        bias = norm != "batch"
        layers = [nn.ReflectionPad2d(3), conv(3, features, 7, padding=0, bias=bias)]
        layers += [norm_layer(norm, features), nn.ReLU()]
        for wide in (features, 2 * features):
            layers += [conv(wide, 2 * wide, stride=2, bias=bias), norm_layer(norm, 2 * wide), nn.ReLU()]
        layers += [CycleBlock(4 * features, norm) for _ in range(blocks)]
        for wide in (4 * features, 2 * features):
            layers.append(nn.ConvTranspose2d(wide, wide // 2, 3, 2, 1, output_padding=1, bias=bias))
            layers += [norm_layer(norm, wide // 2), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), conv(features, 3, 7, padding=0), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x)


class UnetLevel(nn.Module):
    """One level of the generator of pix2pix, with the level below inside it."""

    def __init__(self, inner, outer, sub=None, outermost=False, dropout=False):
        super().__init__()
        self.outermost = outermost
        down = nn.Conv2d(inner, outer, 4, 2, 1, bias=False)
        if outermost:
            up = nn.ConvTranspose2d(2 * outer, inner, 4, 2, 1)
            layers = [down, sub, nn.ReLU(), up, nn.Tanh()]
        elif sub is None:
            up = nn.ConvTranspose2d(outer, inner, 4, 2, 1, bias=False)
            layers = [nn.LeakyReLU(0.2), down, nn.ReLU(), up, nn.BatchNorm2d(inner)]
        else:
            up = nn.ConvTranspose2d(2 * outer, inner, 4, 2, 1, bias=False)
            layers = [nn.LeakyReLU(0.2), down, nn.BatchNorm2d(outer), sub, nn.ReLU(), up]
            layers += [nn.BatchNorm2d(inner)] + ([nn.Dropout(0.5)] if dropout else [])
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        # The published code activates `x` in place; the ReLU that follows makes that no difference.
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


def pix2pix_generator(levels=8, features=64):
    """The UnetGenerator of pix2pix with batch normalisation: input and output in [-1, 1]."""
    network = nn.Module()
    level = UnetLevel(8 * features, 8 * features)
    for _ in range(levels - 5):
        level = UnetLevel(8 * features, 8 * features, level, dropout=True)
    for wide in (4 * features, 2 * features, features):
        level = UnetLevel(wide, 2 * wide, level)
    network.model = UnetLevel(3, features, level, outermost=True)
    network.forward = network.model.forward
    return network


class PatchGan(nn.Module):
    """The NLayerDiscriminator of pix2pix: three layers as published."""

    def __init__(self, inner=3, norm="instance", features=64, depth=3):
        super().__init__()
        layers = [nn.Conv2d(inner, features, 4, 2, 1), nn.LeakyReLU(0.2)]
        for i in range(depth):
            # From the fourth layer on the published code keeps the width.
            wide, outer = (features * min(1 << j, 8) for j in (i, i + 1))
            layers.append(nn.Conv2d(wide, outer, 4, 1 if i == depth - 1 else 2, 1, bias=norm != "batch"))
            layers += [norm_layer(norm, outer), nn.LeakyReLU(0.2)]
        layers.append(nn.Conv2d(features * min(1 << depth, 8), 1, 4, 1, 1))
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x)


class PixelDiscriminator(nn.Module):
    """The PixelDiscriminator of pix2pix."""

    def __init__(self, inner=3, norm="batch", features=64):
        super().__init__()
        bias = norm != "batch"
        self.net = nn.Sequential(
            conv(inner, features, 1),
            nn.LeakyReLU(0.2),
            conv(features, 2 * features, 1, bias=bias),
            norm_layer(norm, 2 * features),
            nn.LeakyReLU(0.2),
            conv(2 * features, 1, 1, bias=bias),
        )

    def forward(self, x):
        return self.net(x)


class UnetDiscriminator(nn.Module):
    """The UNetDiscriminatorSN of Real-ESRGAN: input in [0, 1], spectral normalisation as stored."""

    def __init__(self, features=64):
        super().__init__()
        spectral = nn.utils.spectral_norm
        f = features
        self.conv0 = conv(3, f)
        for i in range(1, 4):
            self.add_module(f"conv{i}", spectral(nn.Conv2d(f << (i - 1), f << i, 4, 2, 1, bias=False)))
        for i in range(4, 7):
            self.add_module(f"conv{i}", spectral(conv(f << (7 - i), f << (6 - i), bias=False)))
        self.conv7, self.conv8 = (spectral(conv(f, f, bias=False)) for _ in range(2))
        self.conv9 = conv(f, 1)

    def forward(self, x):
        def layer(i, value):
            return F.leaky_relu(getattr(self, f"conv{i}")(value), 0.2)

        skips = [layer(0, x)]
        for i in range(1, 4):
            skips.append(layer(i, skips[-1]))
        y = skips.pop()
        for i in range(4, 7):
            y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
            y = layer(i, y) + skips.pop()
        return self.conv9(layer(8, layer(7, y)))


# ---- DCGAN -----------------------------------------------------------------------------------------


def dcgan_levels(size):
    """How often 4 pixels are doubled."""
    return size.bit_length() - 3


class DcganGenerator(nn.Module):
    """The generator of pytorch/examples' dcgan for pictures of `size`: noise in, pictures in [-1, 1] out."""

    def __init__(self, latent=100, features=64, size=64, colors=3):
        super().__init__()
        wide = features << (dcgan_levels(size) - 1)
        layers = [nn.ConvTranspose2d(latent, wide, 4, 1, 0, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
        while wide > features:
            layers.append(nn.ConvTranspose2d(wide, wide // 2, 4, 2, 1, bias=False))
            wide //= 2
            layers += [nn.BatchNorm2d(wide), nn.ReLU()]
        layers += [nn.ConvTranspose2d(features, colors, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)

    def forward(self, noise):
        return self.main(noise)


class DcganDiscriminator(nn.Module):
    """The discriminator of the same without its sigmoid: one number a picture, [n, 1, 1, 1].

    Without `norm` it is a critic as gradient penalties need it: no batch normalisation, but biases.
    """

    def __init__(self, features=64, size=64, colors=3, norm=True):
        super().__init__()
        layers = [nn.Conv2d(colors, features, 4, 2, 1, bias=not norm), nn.LeakyReLU(0.2)]
        for level in range(dcgan_levels(size) - 1):
            wide = features << level
            layers.append(nn.Conv2d(wide, 2 * wide, 4, 2, 1, bias=not norm))
            layers += [nn.BatchNorm2d(2 * wide)] * norm + [nn.LeakyReLU(0.2)]
        last = features << (dcgan_levels(size) - 1)
        layers.append(nn.Conv2d(last, 1, 4, 1, 0, bias=not norm))
        self.main = nn.Sequential(*layers)

    def forward(self, x):
        return self.main(x)


# ---- Style -----------------------------------------------------------------------------------------


class PaddedConv(nn.Module):
    """A convolution at key `conv2d` behind reflection padding."""

    def __init__(self, inner, outer, kernel, stride=1, double=False):
        super().__init__()
        self.double, self.pad = double, kernel // 2
        self.conv2d = conv(inner, outer, kernel, stride, padding=0)

    def forward(self, x):
        if self.double:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        return self.conv2d(F.pad(x, (self.pad,) * 4, mode="reflect"))


def affine(features):
    return nn.InstanceNorm2d(features, affine=True)


class StyleResidual(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.conv1, self.in1 = PaddedConv(features, features, 3), affine(features)
        self.conv2, self.in2 = PaddedConv(features, features, 3), affine(features)

    def forward(self, x):
        return x + self.in2(self.conv2(F.relu(self.in1(self.conv1(x)))))


class TransformerNet(nn.Module):
    """TransformerNet of pytorch/examples: RGB from 0 to 255."""

    def __init__(self):
        super().__init__()
        self.conv1, self.in1 = PaddedConv(3, 32, 9), affine(32)
        self.conv2, self.in2 = PaddedConv(32, 64, 3, 2), affine(64)
        self.conv3, self.in3 = PaddedConv(64, 128, 3, 2), affine(128)
        for i in range(1, 6):
            setattr(self, f"res{i}", StyleResidual(128))
        self.deconv1, self.in4 = PaddedConv(128, 64, 3, double=True), affine(64)
        self.deconv2, self.in5 = PaddedConv(64, 32, 3, double=True), affine(32)
        self.deconv3 = PaddedConv(32, 3, 9)

    def forward(self, x):
        for i in range(1, 4):
            x = F.relu(getattr(self, f"in{i}")(getattr(self, f"conv{i}")(x)))
        for i in range(1, 6):
            x = getattr(self, f"res{i}")(x)
        for i in (1, 2):
            x = F.relu(getattr(self, f"in{i + 3}")(getattr(self, f"deconv{i}")(x)))
        return self.deconv3(x)


class SameNorm(nn.Module):
    """A convolution with the padding of TensorFlow's "SAME", then instance normalisation, eps 1e-3.

    The transposed one is the gradient of such a convolution: of the 2n + 1 rows the first 2n.
    """

    def __init__(self, inner, outer, kernel, stride=1, transposed=False):
        super().__init__()
        self.stride, self.kernel, self.transposed = stride, kernel, transposed
        make = nn.ConvTranspose2d if transposed else nn.Conv2d
        self.conv = make(inner, outer, kernel, stride, bias=False)
        self.norm = nn.InstanceNorm2d(outer, eps=1e-3, affine=True)

    def forward(self, x):
        if self.transposed:
            rows, columns = 2 * x.shape[2], 2 * x.shape[3]
            return self.norm(self.conv(x)[:, :, :rows, :columns])
        pads = []
        for size in (x.shape[3], x.shape[2]):
            outer = -(-size // self.stride)
            total = max((outer - 1) * self.stride + self.kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return self.norm(self.conv(F.pad(x, pads)))


class EngstromNet(nn.Module):
    """The style network of lengstrom/fast-style-transfer: RGB from 0 to 255."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = SameNorm(3, 32, 9), SameNorm(32, 64, 3, 2)
        self.conv3 = SameNorm(64, 128, 3, 2)
        for i in range(1, 6):
            residual = nn.Module()
            residual.conv1, residual.conv2 = SameNorm(128, 128, 3), SameNorm(128, 128, 3)
            setattr(self, f"res{i}", residual)
        self.deconv1 = SameNorm(128, 64, 3, 2, transposed=True)
        self.deconv2 = SameNorm(64, 32, 3, 2, transposed=True)
        self.conv_out = SameNorm(32, 3, 9)

    def forward(self, x):
        x = F.relu(self.conv3(F.relu(self.conv2(F.relu(self.conv1(x))))))
        for i in range(1, 6):
            residual = getattr(self, f"res{i}")
            x = x + residual.conv2(F.relu(residual.conv1(x)))
        x = F.relu(self.deconv2(F.relu(self.deconv1(x))))
        return torch.tanh(self.conv_out(x)) * 150 + 127.5

    @staticmethod
    def key(key):
        key = key.replace(".conv.weight", ".weight")
        return key.replace(".norm.weight", ".in_scale").replace(".norm.bias", ".in_shift")


def reflected(inner, outer):
    return [nn.ReflectionPad2d(1), conv(inner, outer, padding=0), nn.ReLU()]


def adain_encoder():
    """vgg_normalised.pth up to relu4_1: input in [0, 1]."""
    layers = [conv(3, 3, 1), *reflected(3, 64), *reflected(64, 64), nn.MaxPool2d(2, ceil_mode=True)]
    layers += [*reflected(64, 128), *reflected(128, 128), nn.MaxPool2d(2, ceil_mode=True)]
    layers += reflected(128, 256)
    for _ in range(3):
        layers += reflected(256, 256)
    return nn.Sequential(*layers, nn.MaxPool2d(2, ceil_mode=True), *reflected(256, 512))


def adain_decoder():
    """decoder.pth of naoto0804/pytorch-AdaIN."""
    double = nn.UpsamplingNearest2d(scale_factor=2)
    layers = [*reflected(512, 256), double]
    for _ in range(3):
        layers += reflected(256, 256)
    layers += [*reflected(256, 128), double, *reflected(128, 128), *reflected(128, 64), double]
    return nn.Sequential(*layers, *reflected(64, 64), *reflected(64, 3)[:2])


class AdainEncoder(nn.Module):
    """The encoder with the four layers that the style loss compares."""

    LAYERS = {3: "relu1_1", 10: "relu2_1", 17: "relu3_1", 30: "relu4_1"}

    def __init__(self):
        super().__init__()
        self.layers = adain_encoder()

    def forward(self, x):
        found = {}
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i in self.LAYERS:
                found[self.LAYERS[i]] = x
        return found


class Adain(nn.Module):
    """Content and style in, stylised picture out, at alpha 1 and 0.5."""

    def __init__(self):
        super().__init__()
        self.vgg, self.decoder = adain_encoder(), adain_decoder()

    def forward(self, content, style):
        c, s = self.vgg(content), self.vgg(style)

        def statistics(y):
            # Unbiased variance, as the published code has it.
            var, mean = torch.var_mean(y, (2, 3), correction=1, keepdim=True)
            return mean, (var + 1e-5).sqrt()

        (cm, cs), (sm, ss) = statistics(c), statistics(s)
        target = (c - cm) / cs * ss + sm
        return {f"alpha{a:g}": self.decoder(a * target + (1 - a) * c) for a in (1.0, 0.5)}


# ---- Features --------------------------------------------------------------------------------------


class Features(nn.Module):
    """Outputs of some children of a torchvision network's `features`, and what its classifier says."""

    def __init__(self, network, layers, logits=False):
        super().__init__()
        self.features, self.layers = network.features, layers
        if logits:
            self.classifier = network.classifier

    def forward(self, x):
        found = {}
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in self.layers:
                found[self.layers[i]] = x
            if i == max(self.layers) and not hasattr(self, "classifier"):
                break
        if hasattr(self, "classifier"):
            found["logits"] = self.classifier(x).flatten(1)
        return found


class ResNetLayers(nn.Module):
    """The four stages of a torchvision ResNet, and its logits."""

    def __init__(self, network):
        super().__init__()
        for name, child in network.named_children():
            self.add_module(name, child)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        found = {}
        for i in range(1, 5):
            x = found[f"layer{i}"] = getattr(self, f"layer{i}")(x)
        found["logits"] = self.fc(self.avgpool(x).flatten(1))
        return found


class Lpips(nn.Module):
    """LPIPS over SqueezeNet 1.1: two pictures in [-1, 1] in, one distance for each pair out."""

    SLICES = (1, 4, 7, 9, 10, 11, 12)
    SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)

    def __init__(self, network):
        super().__init__()
        self.features = network.features
        for i, wide in enumerate((64, 128, 256, 384, 384, 512, 512)):
            lin = nn.Module()
            lin.model = nn.Sequential(nn.Dropout(), conv(wide, 1, 1, bias=False))
            setattr(self, f"lin{i}", lin)

    def slices(self, x):
        # The published buffers are f32.
        shift, scale = (torch.tensor(t).to(x.dtype).view(1, 3, 1, 1) for t in (self.SHIFT, self.SCALE))
        x = (x - shift) / scale
        found = []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in self.SLICES:
                found.append(x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10))
        return found

    def forward(self, first, second):
        total = 0
        for i, (a, b) in enumerate(zip(self.slices(first), self.slices(second))):
            total = total + getattr(self, f"lin{i}").model((a - b) ** 2).mean((2, 3), keepdim=True)
        return total
