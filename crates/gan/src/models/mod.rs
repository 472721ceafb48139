//! Architectures, one in each file.

pub mod cyclegan_resnet;
pub mod normalization;
pub mod patchgan;
pub mod pix2pix_unet;
pub mod pixel_discriminator;
pub mod rrdb;
pub mod srresnet;
pub mod unet;
pub mod unet_discriminator;

#[cfg(test)]
mod parity;
