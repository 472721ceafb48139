//! Networks that give a picture another style.
//!
//! [`transformer_net`] and [`engstrom`] know one style each; [`adain`] takes any picture as style, and
//! [`transfer`] runs it on whole pictures. [`optimize`] needs no such network: it changes the picture
//! until an [`extractor`] sees in it what it sees in others.

#![expect(
    clippy::needless_pass_by_value,
    reason = "a builder of weights is passed by value, as in candle: `vb.pp(name)` makes one"
)]

pub mod adain;
pub mod engstrom;
pub mod extractor;
pub mod optimize;
pub mod palette;
pub mod transfer;
pub mod transformer_net;
