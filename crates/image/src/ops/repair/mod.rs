//! Repair: damaged places are found, and filled from what is around them.

mod damage;
mod diffusion;
mod fill;
mod mask;
mod patch;
mod scratches;
mod window;

pub use damage::Damage;
pub use fill::{FillMethod, Inpaint, change_of, check_share};
pub use mask::{Mask, Region};
