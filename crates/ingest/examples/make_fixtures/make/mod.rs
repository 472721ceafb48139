//! All fixtures, as paths and bytes.

mod archive;
mod bad;
mod canvas;
mod chance;
mod damage;
mod files;
mod font;
mod landscape;
mod page;
mod portrait;
mod street;
mod tiff;

/// What goes wrong while a fixture is made; only a mistake in the generator can.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A file: its path inside `fixtures/`, and its bytes.
pub(crate) type Fixture = (String, Vec<u8>);

/// Every fixture, each path once.
pub(crate) fn all() -> Result<Vec<Fixture>> {
    let mut fixtures = archive::files()?;
    fixtures.extend(bad::files()?);
    Ok(fixtures)
}
