//! Networks that give a picture another style.
//!
//! [`transformer_net`] and [`engstrom`] know one style each; [`adain`] takes any picture as style.

pub mod adain;
pub mod engstrom;
pub mod transformer_net;
