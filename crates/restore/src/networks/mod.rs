//! Networks that enlarge pictures or clear them of noise, one architecture in each file.
//!
//! Each has a `Config` that is recognised from a checkpoint's tensors, a constructor, and a forward.
//! Those that were trained as generators of a GAN (`RRDBNet`, `SRResNet`, the U-Nets) are in
//! `fonds-gan`.

#![expect(
    clippy::needless_pass_by_value,
    reason = "a builder of weights is passed by value, as in candle: `vb.pp(name)` makes one"
)]

pub mod carn_m;
pub mod dncnn;
pub mod edsr;
pub mod fast_srgan;
pub mod fsrcnn;
pub mod mend;
pub mod msrresnet;
mod residual;
pub mod srvgg;
pub mod vdsr;
pub mod waifu2x;
