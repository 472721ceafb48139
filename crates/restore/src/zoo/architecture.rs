//! All architectures that a file may be of, and how each is told apart, checked and built.

use fonds_core::{Code, Error, Result};
use fonds_gan::models::normalization::Normalization;
use fonds_gan::models::{
    cyclegan_resnet, patchgan, pix2pix_unet, pixel_discriminator, rrdb, srresnet, unet,
    unet_discriminator,
};
use fonds_nn::VarBuilder;
use fonds_nn::error::TensorResult;
use fonds_nn::features::{
    ResNet, ResNetConfig, SqueezeNet, SqueezeNetConfig, SqueezeNetVersion, Vgg, VggConfig,
};
use fonds_nn::layers::BatchNormMode;
use fonds_nn::network::Network;
use fonds_nn::weights::Tensors;

use super::Options;
use crate::keys::{count, shape};
use crate::networks::{
    carn_m, dncnn, edsr, fast_srgan, fsrcnn, mend, msrresnet, srvgg, vdsr, waifu2x,
};
use crate::style::{adain, engstrom, transformer_net};

/// An architecture and its settings, as a file shows them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Architecture {
    /// `SRVGGNetCompact`.
    Srvgg(srvgg::Config),
    /// `RRDBNet`, in any dialect.
    Rrdb(rrdb::Config),
    /// EDSR.
    Edsr(edsr::Config),
    /// `MSRResNet`.
    MsrResNet(msrresnet::Config),
    /// `SRResNet`, the generator of SRGAN.
    SrResNet(srresnet::Config),
    /// Fast-SRGAN.
    FastSrgan(fast_srgan::Config),
    /// CARN-M.
    CarnM(carn_m::Config),
    /// VDSR.
    Vdsr(vdsr::Config),
    /// FSRCNN.
    Fsrcnn(fsrcnn::Config),
    /// `DnCNN` and `FDnCNN`.
    DnCnn(dncnn::Config),
    /// `upconv_7` of waifu2x.
    Waifu2x(waifu2x::Config),
    /// A U-Net.
    Unet(unet::Config),
    /// `MendNet`, fonds' own.
    Mend(mend::Config),
    /// The generator of `CycleGAN`.
    CycleGan(cyclegan_resnet::Config),
    /// The generator of pix2pix.
    Pix2Pix(pix2pix_unet::Config),
    /// `TransformerNet`, one style.
    TransformerNet(transformer_net::Config),
    /// The style network of lengstrom/fast-style-transfer.
    Engstrom(engstrom::Config),
    /// A `PatchGAN` discriminator; makes no pictures.
    PatchGan(patchgan::Config),
    /// A pixel discriminator; makes no pictures.
    PixelDiscriminator(pixel_discriminator::Config),
    /// The U-Net discriminator of Real-ESRGAN; makes no pictures.
    UnetDiscriminator(unet_discriminator::Config),
    /// The encoder of `AdaIN`; makes no pictures alone.
    AdaInEncoder,
    /// The decoder of `AdaIN`; makes no pictures alone.
    AdaInDecoder,
    /// VGG; makes no pictures.
    Vgg(VggConfig),
    /// `SqueezeNet`; makes no pictures.
    SqueezeNet(SqueezeNetConfig),
    /// `ResNet`; makes no pictures.
    ResNet(ResNetConfig),
    /// The weights of LPIPS for the layers of a network: channels of each; makes no pictures.
    LpipsHeads(Vec<usize>),
}

/// How files of an architecture are told from others.
pub(super) struct Family {
    pub(super) name: &'static str,
    /// Keys that speak for it, for naming near misses.
    pub(super) landmarks: &'static [&'static str],
    pub(super) recognize: fn(&Tensors) -> Option<Architecture>,
}

/// All architectures; one that might take another's files comes after it.
pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "SRVGGNetCompact",
        landmarks: &[
            "body.0.weight",
            "body.1.weight",
            "body.2.weight",
            "body.3.weight",
        ],
        recognize: |tensors| srvgg::Config::recognize(tensors).map(Architecture::Srvgg),
    },
    Family {
        name: "RRDBNet",
        landmarks: &[
            "conv_first.weight",
            "body.0.rdb1.conv1.weight",
            "conv_body.weight",
            "conv_last.weight",
        ],
        recognize: |tensors| rrdb::Config::recognize(tensors).map(Architecture::Rrdb),
    },
    Family {
        name: "EDSR",
        landmarks: &[
            "conv_first.weight",
            "body.0.conv1.weight",
            "conv_after_body.weight",
            "upsample.0.weight",
        ],
        recognize: |tensors| edsr::Config::recognize(tensors).map(Architecture::Edsr),
    },
    Family {
        name: "MSRResNet",
        landmarks: &[
            "conv_first.weight",
            "body.0.conv1.weight",
            "upconv1.weight",
            "conv_hr.weight",
        ],
        recognize: |tensors| msrresnet::Config::recognize(tensors).map(Architecture::MsrResNet),
    },
    Family {
        name: "SRResNet",
        landmarks: &["block1.0.weight", "block2.conv1.weight", "block7.0.weight"],
        recognize: |tensors| srresnet::Config::recognize(tensors).map(Architecture::SrResNet),
    },
    Family {
        name: "Fast-SRGAN",
        landmarks: &[
            "neck.0.weight",
            "stem.0.conv1.weight",
            "bottleneck.0.weight",
        ],
        recognize: |tensors| fast_srgan::Config::recognize(tensors).map(Architecture::FastSrgan),
    },
    Family {
        name: "CARN-M",
        landmarks: &[
            "sub_mean.shifter.weight",
            "entry.weight",
            "b1.b1.body.0.weight",
            "upsample.up4.body.0.weight",
        ],
        recognize: |tensors| carn_m::Config::recognize(tensors).map(Architecture::CarnM),
    },
    Family {
        name: "VDSR",
        landmarks: &[
            "input.weight",
            "residual_layer.0.conv.weight",
            "output.weight",
        ],
        recognize: |tensors| vdsr::Config::recognize(tensors).map(Architecture::Vdsr),
    },
    Family {
        name: "FSRCNN",
        landmarks: &["f1", "f2", "alpha1", "b1"],
        recognize: |tensors| fsrcnn::Config::recognize(tensors).map(Architecture::Fsrcnn),
    },
    Family {
        name: "upconv_7",
        landmarks: &[
            "conv1.weight",
            "conv2.weight",
            "conv6.weight",
            "conv7.weight",
        ],
        recognize: |tensors| waifu2x::Config::recognize(tensors).map(Architecture::Waifu2x),
    },
    Family {
        name: "U-Net",
        landmarks: &["inc.double_conv.0.weight", "outc.conv.weight"],
        recognize: |tensors| unet::Config::recognize(tensors).map(Architecture::Unet),
    },
    Family {
        name: "MendNet",
        landmarks: &["head.weight", "down.0.shrink.weight", "tail.weight"],
        recognize: |tensors| mend::Config::recognize(tensors).map(Architecture::Mend),
    },
    Family {
        name: "CycleGAN generator",
        landmarks: &[
            "model.1.weight",
            "model.4.weight",
            "model.10.conv_block.1.weight",
        ],
        recognize: |tensors| {
            cyclegan_resnet::Config::recognize(tensors).map(Architecture::CycleGan)
        },
    },
    Family {
        name: "pix2pix generator",
        landmarks: &["model.model.0.weight", "model.model.3.weight"],
        recognize: |tensors| pix2pix_unet::Config::recognize(tensors).map(Architecture::Pix2Pix),
    },
    Family {
        name: "TransformerNet",
        landmarks: &[
            "conv1.conv2d.weight",
            "res1.conv1.conv2d.weight",
            "in1.weight",
            "deconv3.conv2d.weight",
        ],
        recognize: |tensors| {
            transformer_net::Config::recognize(tensors).map(Architecture::TransformerNet)
        },
    },
    Family {
        name: "style network of Engstrom",
        landmarks: &[
            "conv1.weight",
            "conv1.in_scale",
            "res1.conv1.weight",
            "conv_out.weight",
        ],
        recognize: |tensors| engstrom::Config::recognize(tensors).map(Architecture::Engstrom),
    },
    Family {
        name: "DnCNN",
        landmarks: &["model.0.weight", "model.2.weight", "model.0.bias"],
        recognize: |tensors| dncnn::Config::recognize(tensors).map(Architecture::DnCnn),
    },
    Family {
        name: "PatchGAN",
        landmarks: &[
            "model.0.weight",
            "model.2.weight",
            "model.5.weight",
            "model.11.weight",
        ],
        recognize: |tensors| patchgan::Config::recognize(tensors).map(Architecture::PatchGan),
    },
    Family {
        name: "pixel discriminator",
        landmarks: &["net.0.weight", "net.2.weight", "net.5.weight"],
        recognize: |tensors| {
            pixel_discriminator::Config::recognize(tensors).map(Architecture::PixelDiscriminator)
        },
    },
    Family {
        name: "U-Net discriminator",
        landmarks: &["conv0.weight", "conv1.weight_orig", "conv9.weight"],
        recognize: |tensors| {
            unet_discriminator::Config::recognize(tensors).map(Architecture::UnetDiscriminator)
        },
    },
    Family {
        name: "AdaIN encoder",
        landmarks: &["0.weight", "2.weight", "29.weight"],
        recognize: |tensors| adain::is_encoder(tensors).then_some(Architecture::AdaInEncoder),
    },
    Family {
        name: "AdaIN decoder",
        landmarks: &["1.weight", "5.weight", "28.weight"],
        recognize: |tensors| adain::is_decoder(tensors).then_some(Architecture::AdaInDecoder),
    },
    Family {
        name: "SqueezeNet",
        landmarks: &["features.0.weight", "features.3.squeeze.weight"],
        recognize: |tensors| SqueezeNetConfig::recognize(tensors).map(Architecture::SqueezeNet),
    },
    Family {
        name: "VGG",
        landmarks: &[
            "features.0.weight",
            "features.2.weight",
            "features.5.weight",
        ],
        recognize: |tensors| VggConfig::recognize(tensors).map(Architecture::Vgg),
    },
    Family {
        name: "ResNet",
        landmarks: &[
            "layer1.0.conv1.weight",
            "layer4.0.conv1.weight",
            "fc.weight",
        ],
        recognize: |tensors| ResNetConfig::recognize(tensors).map(Architecture::ResNet),
    },
    Family {
        name: "LPIPS",
        landmarks: &["lin0.model.1.weight", "lin1.model.1.weight"],
        recognize: lpips_heads,
    },
];

/// The weights of LPIPS: one number for each channel of each layer, nothing else.
fn lpips_heads(tensors: &Tensors) -> Option<Architecture> {
    let layers = count(tensors, lpips_key);
    let widths = (0..layers).map(|layer| match shape(tensors, &lpips_key(layer))? {
        [1, channels, 1, 1] => Some(channels),
        _ => None,
    });
    let widths: Vec<usize> = widths.collect::<Option<_>>()?;
    (layers >= 5).then_some(Architecture::LpipsHeads(widths))
}

fn lpips_key(layer: usize) -> String {
    format!("lin{layer}.model.1.weight")
}

impl Architecture {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Srvgg(_) => "SRVGGNetCompact",
            Self::Rrdb(_) => "RRDBNet",
            Self::Edsr(_) => "EDSR",
            Self::MsrResNet(_) => "MSRResNet",
            Self::SrResNet(_) => "SRResNet",
            Self::FastSrgan(_) => "Fast-SRGAN",
            Self::CarnM(_) => "CARN-M",
            Self::Vdsr(_) => "VDSR",
            Self::Fsrcnn(_) => "FSRCNN",
            Self::DnCnn(config) if config.noise_level => "FDnCNN",
            Self::DnCnn(_) => "DnCNN",
            Self::Waifu2x(_) => "upconv_7",
            Self::Unet(_) => "U-Net",
            Self::Mend(_) => "MendNet",
            Self::CycleGan(_) => "CycleGAN generator",
            Self::Pix2Pix(_) => "pix2pix generator",
            Self::TransformerNet(_) => "TransformerNet",
            Self::Engstrom(_) => "style network of Engstrom",
            Self::PatchGan(_) => "PatchGAN",
            Self::PixelDiscriminator(_) => "pixel discriminator",
            Self::UnetDiscriminator(_) => "U-Net discriminator",
            Self::AdaInEncoder => "AdaIN encoder",
            Self::AdaInDecoder => "AdaIN decoder",
            Self::Vgg(_) => "VGG",
            Self::SqueezeNet(_) => "SqueezeNet",
            Self::ResNet(_) => "ResNet",
            Self::LpipsHeads(_) => "LPIPS",
        }
    }

    /// Its settings, for people.
    pub fn details(&self) -> Vec<(&'static str, String)> {
        fn numbers(pairs: &[(&'static str, usize)]) -> Vec<(&'static str, String)> {
            pairs
                .iter()
                .map(|&(name, value)| (name, value.to_string()))
                .collect()
        }
        let with = |mut list: Vec<(&'static str, String)>, name, value: &str| {
            list.push((name, value.to_owned()));
            list
        };
        match self {
            Self::Srvgg(c) => {
                numbers(&[("features", c.features), ("convolutions", c.convolutions)])
            }
            Self::Rrdb(c) => numbers(&[
                ("features", c.features),
                ("blocks", c.blocks),
                ("growth", c.growth),
            ]),
            Self::Edsr(c) => {
                let list = numbers(&[("features", c.features), ("blocks", c.blocks)]);
                with(list, "residual scale", &c.residual_scale.to_string())
            }
            Self::MsrResNet(c) => numbers(&[("features", c.features), ("blocks", c.blocks)]),
            Self::SrResNet(c) => numbers(&[("features", c.features)]),
            Self::FastSrgan(c) => numbers(&[("features", c.features), ("blocks", c.blocks)]),
            Self::CarnM(c) => numbers(&[
                ("features", c.features),
                ("groups", c.groups),
                ("head", c.scale),
            ]),
            Self::Vdsr(c) => numbers(&[
                ("features", c.features),
                ("convolutions", c.convolutions + 2),
            ]),
            Self::Fsrcnn(c) => numbers(&[
                ("wide", c.wide),
                ("narrow", c.narrow),
                ("convolutions", c.convolutions),
            ]),
            Self::DnCnn(c) => {
                let list = numbers(&[("features", c.features), ("convolutions", c.layers)]);
                with(list, "normalisation", if c.norm { "batch" } else { "none" })
            }
            Self::Waifu2x(_) | Self::AdaInEncoder | Self::AdaInDecoder => Vec::new(),
            Self::Unet(c) => {
                let list = numbers(&[
                    ("features", c.features),
                    ("output channels", c.out_channels),
                ]);
                let enlarge = match c.enlarge {
                    unet::Enlarge::Transposed => "transposed convolution",
                    unet::Enlarge::Bilinear => "bilinear",
                };
                with(list, "enlargement", enlarge)
            }
            Self::Mend(c) => {
                let widths: Vec<String> = c.widths.iter().map(usize::to_string).collect();
                let list = numbers(&[("blocks", c.blocks), ("blocks in the middle", c.middle)]);
                let list = with(list, "widths", &widths.join(", "));
                let role = match c.role {
                    mend::Role::Clear => "clear pictures",
                    mend::Role::Fill => "fill holes",
                    mend::Role::Detect => "find damage",
                };
                with(list, "for", role)
            }
            Self::CycleGan(c) => {
                let list = numbers(&[("features", c.features), ("blocks", c.blocks)]);
                with(list, "normalisation", norm_name(c.norm))
            }
            Self::Pix2Pix(c) => {
                let list = numbers(&[("features", c.features), ("levels", c.levels)]);
                with(list, "normalisation", norm_name(c.norm))
            }
            Self::TransformerNet(c) => numbers(&[("features", c.features), ("blocks", c.blocks)]),
            Self::Engstrom(c) => numbers(&[("features", c.features), ("blocks", c.blocks)]),
            Self::PatchGan(c) => {
                let list = numbers(&[("input channels", c.in_channels), ("layers", c.layers)]);
                with(list, "normalisation", norm_name(c.norm))
            }
            Self::PixelDiscriminator(c) => {
                let list = numbers(&[("input channels", c.in_channels)]);
                with(list, "normalisation", norm_name(c.norm))
            }
            Self::UnetDiscriminator(c) => numbers(&[("features", c.features)]),
            Self::Vgg(c) => {
                let convolutions = c.blocks.iter().map(Vec::len).sum();
                numbers(&[("blocks", c.blocks.len()), ("convolutions", convolutions)])
            }
            Self::SqueezeNet(c) => {
                let version = match c.version {
                    SqueezeNetVersion::V1_0 => "1.0",
                    SqueezeNetVersion::V1_1 => "1.1",
                };
                with(Vec::new(), "version", version)
            }
            Self::ResNet(c) => numbers(&[("layers", c.depth), ("classes", c.classes)]),
            Self::LpipsHeads(widths) => numbers(&[("layers", widths.len())]),
        }
    }

    /// The same, as the options want it.
    pub(super) fn with_options(mut self, options: &Options, tensors: &Tensors) -> Result<Self> {
        if let (Self::CarnM(config), Some(scale)) = (&mut self, options.scale) {
            config.scale = head(&carn_m::heads(tensors), scale)?;
        }
        if options.batch_statistics {
            match &mut self {
                Self::Pix2Pix(config) if matches!(config.norm, Normalization::Batch(_)) => {
                    config.norm = Normalization::Batch(BatchNormMode::Batch);
                }
                _ => {
                    let message = format!(
                        "{} has no batch normalisation to be run with a picture's own statistics",
                        self.name()
                    );
                    let error = Error::new(Code::InvalidRequest, message);
                    return Err(error.hint("leave `batch_statistics` out"));
                }
            }
        }
        Ok(self)
    }

    /// The tensors under the names that the constructor asks for.
    pub(super) fn canonical(&self, tensors: &Tensors) -> Tensors {
        match self {
            Self::Rrdb(_) => rrdb::canonical(tensors),
            Self::SqueezeNet(_) => SqueezeNetConfig::canonical(tensors),
            _ => tensors.clone(),
        }
    }

    /// Whether a file may have this key although the network does not need it.
    pub(super) fn ignores(&self, key: &str) -> bool {
        match self {
            Self::Srvgg(_) => srvgg::ignore(key),
            Self::Rrdb(_) => rrdb::ignore(key),
            Self::Edsr(_) => edsr::ignore(key),
            Self::MsrResNet(_) => msrresnet::ignore(key),
            Self::SrResNet(_) => srresnet::ignore(key),
            Self::FastSrgan(_) => fast_srgan::ignore(key),
            Self::CarnM(_) => carn_m::ignore(key),
            Self::Vdsr(_) => vdsr::ignore(key),
            Self::Fsrcnn(_) => fsrcnn::ignore(key),
            Self::DnCnn(_) => dncnn::ignore(key),
            Self::Waifu2x(_) => waifu2x::ignore(key),
            Self::Unet(_) => unet::ignore(key),
            Self::Mend(_) => mend::ignore(key),
            Self::CycleGan(_) => cyclegan_resnet::ignore(key),
            Self::Pix2Pix(_) => pix2pix_unet::ignore(key),
            Self::TransformerNet(_) => transformer_net::ignore(key),
            Self::Engstrom(_) => engstrom::ignore(key),
            Self::UnetDiscriminator(_) => unet_discriminator::ignore(key),
            Self::PatchGan(_) | Self::PixelDiscriminator(_) | Self::ResNet(_) => {
                key.ends_with(".num_batches_tracked")
            }
            Self::AdaInEncoder => adain::ignore_in_encoder(key),
            Self::Vgg(_) => key.starts_with("classifier."),
            Self::SqueezeNet(config) => config.classes.is_none() && key.starts_with("classifier."),
            Self::AdaInDecoder | Self::LpipsHeads(_) => false,
        }
    }

    /// The network, when it makes pictures of pictures; of others only the keys are asked for.
    pub(super) fn network(&self, vb: VarBuilder<'static>) -> Result<Option<Box<dyn Network>>> {
        Ok(Some(match self {
            Self::Srvgg(config) => Box::new(srvgg::Srvgg::new(config, vb)?),
            Self::Rrdb(config) => Box::new(rrdb::Rrdb::new(config, vb)?),
            Self::Edsr(config) => Box::new(edsr::Edsr::new(config, vb)?),
            Self::MsrResNet(config) => Box::new(msrresnet::MsrResNet::new(config, vb)?),
            Self::SrResNet(config) => Box::new(srresnet::SrResNet::new(config, vb)?),
            Self::FastSrgan(config) => Box::new(fast_srgan::FastSrgan::new(config, vb)?),
            Self::CarnM(config) => Box::new(carn_m::CarnM::new(config, vb)?),
            Self::Vdsr(config) => Box::new(vdsr::Vdsr::new(config, vb)?),
            Self::Fsrcnn(config) => Box::new(fsrcnn::Fsrcnn::new(config, vb)?),
            Self::DnCnn(config) => Box::new(dncnn::DnCnn::new(config, vb)?),
            Self::Waifu2x(config) => Box::new(waifu2x::Upconv7::new(config, vb)?),
            Self::Unet(config) => Box::new(unet::Unet::new(config, vb)?),
            Self::Mend(config) => Box::new(mend::Mend::new(config, vb)?),
            Self::CycleGan(config) => Box::new(cyclegan_resnet::CycleGanResNet::new(config, vb)?),
            Self::Pix2Pix(config) => Box::new(pix2pix_unet::Pix2PixUnet::new(config, vb)?),
            Self::TransformerNet(config) => {
                Box::new(transformer_net::TransformerNet::new(config, vb)?)
            }
            Self::Engstrom(config) => Box::new(engstrom::Engstrom::new(config, vb)?),
            other => {
                other.ask(vb)?;
                return Ok(None);
            }
        }))
    }

    /// Asks for the keys of a network that makes no pictures.
    fn ask(&self, vb: VarBuilder<'static>) -> Result<()> {
        match self {
            Self::PatchGan(config) => patchgan::PatchGan::new(config, vb).map(drop),
            Self::PixelDiscriminator(config) => {
                pixel_discriminator::PixelDiscriminator::new(config, vb).map(drop)
            }
            Self::UnetDiscriminator(config) => {
                unet_discriminator::UnetDiscriminator::new(config, vb).map(drop)
            }
            Self::AdaInEncoder => adain::Encoder::new(vb).map(drop),
            Self::AdaInDecoder => adain::Decoder::new(vb).map(drop),
            Self::Vgg(config) => Vgg::new(config, vb).map(drop),
            Self::SqueezeNet(config) => SqueezeNet::new(config, vb).map(drop),
            Self::ResNet(config) => ResNet::new(config, vb).map(drop),
            Self::LpipsHeads(widths) => {
                for (layer, &channels) in widths.iter().enumerate() {
                    vb.get((1, channels, 1, 1), &lpips_key(layer))
                        .in_network()?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn norm_name(norm: Normalization) -> &'static str {
    match norm {
        Normalization::Batch(BatchNormMode::Running) => "batch",
        Normalization::Batch(BatchNormMode::Batch | BatchNormMode::Train) => {
            "batch, by the picture's own statistics"
        }
        Normalization::Instance => "instance",
    }
}

/// The head for a factor, else the smallest that the picture can be averaged down from.
fn head(heads: &[usize], scale: usize) -> Result<usize> {
    let fits = |head: &usize| scale > 0 && head.is_multiple_of(scale);
    heads.iter().copied().filter(fits).min().ok_or_else(|| {
        let known: Vec<String> = heads.iter().map(|head| format!("×{head}")).collect();
        let message = format!(
            "the network has no head for ×{scale}, only {}",
            known.join(", ")
        );
        Error::new(Code::InvalidRequest, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_chosen_by_their_factor() {
        let heads = [4, 3, 2];
        assert_eq!(
            [2, 3, 4, 1].map(|scale| head(&heads, scale).unwrap()),
            [2, 3, 4, 2]
        );
        let error = head(&heads, 5).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the network has no head for ×5, only ×4, ×3, ×2"
        );
        assert!(head(&heads, 0).is_err());
    }
}
