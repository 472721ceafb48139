//! Networks that give a picture another style.
//!
//! [`transformer_net`] and [`engstrom`] know one style each; [`adain`] takes any picture as style.

#![expect(
    clippy::needless_pass_by_value,
    reason = "a builder of weights is passed by value, as in candle: `vb.pp(name)` makes one"
)]

pub mod adain;
pub mod engstrom;
pub mod transformer_net;
