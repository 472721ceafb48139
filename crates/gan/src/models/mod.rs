//! Architectures, one in each file.

#![expect(
    clippy::needless_pass_by_value,
    reason = "a builder of weights is passed by value, as in candle: `vb.pp(name)` makes one"
)]

pub mod cyclegan_resnet;
pub mod dcgan;
pub mod noise;
#[cfg(test)]
mod noise_tests;
pub mod normalization;
pub mod patchgan;
pub mod pix2pix_unet;
pub mod pixel_discriminator;
pub mod resnet_gan;
pub mod rrdb;
pub mod srresnet;
pub mod unet;
pub mod unet_discriminator;

#[cfg(test)]
mod parity;
