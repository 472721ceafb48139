//! How far a picture is from another one: PSNR, SSIM, MS-SSIM, LPIPS, and tone; and how far a set of
//! pictures is from another set.
//!
//! Conventions are those of BasicSR, which published figures of super-resolution mostly follow:
//! samples from 0 to 255, as many pixels cropped from the border as the scale, all channels of RGB
//! or the luminance of BT.601 as MATLAB's `rgb2ycbcr` makes it, arithmetic in 64 bits. Results do
//! not depend on the number of threads.
//!
//! ```
//! use fonds_nn::metrics::{Picture, psnr};
//!
//! let a = Picture::from_u8(&[100; 12], 2, 2, 3)?;
//! let b = Picture::from_u8(&[110; 12], 2, 2, 3)?;
//! assert!((psnr(&a, &b)? - 28.1308).abs() < 1e-4);
//! # Ok::<(), fonds_core::Error>(())
//! ```

mod eigen;
mod frechet;
mod gaussian;
mod lpips;
mod picture;
mod psnr;
mod ssim;
mod tone;

pub use frechet::{Moments, frechet_distance, kernel_distance};
pub use gaussian::Gaussian;
pub use lpips::{Lpips, lpips_layer};
pub use picture::Picture;
pub use psnr::{mean_squared_error, psnr};
pub use ssim::{MS_SSIM_MIN_SIDE, SSIM_MIN_SIDE, ms_ssim, ssim};
pub use tone::{Clipped, clipped_share, mean_shift};
