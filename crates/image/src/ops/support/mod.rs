//! What several operations and measures share: planes, parallel rows, reduction, filters.

pub(crate) mod extremes;
pub(crate) mod params;
pub(crate) mod plane;
pub(crate) mod reduce;
pub(crate) mod rows;
#[cfg(test)]
pub(crate) mod synthetic;
pub(crate) mod work;
