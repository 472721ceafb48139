//! A network at work on whole pictures.

use std::sync::Arc;

use fonds_core::{
    Change, Code, ColorModel, Depth, Error, Outcome, PixelFormat, Ppi, Raster, Result,
};
use fonds_image::color;
use fonds_image::ops::{Filter, Resize, Target};
use fonds_nn::compute::{OnLanes, Planes, Request};
use fonds_nn::network::{Colors, Enlargement, Extra, Interface};
use fonds_nn::picture::{planes, sample_planes, write_planes};
use fonds_nn::statistics::{Book, Pages};
use fonds_nn::tile::{Layout, Rect, Seams, TILE_BYTES, Tile, TileOptions};
use fonds_nn::trace::Geometry;

use super::colors::Route;
use super::enlarge::bicubic;
use super::gamut;
use crate::zoo::Description;

/// What a user may ask of a network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TaskSettings {
    /// How often larger the picture shall be along each side: the network's own factor when absent,
    /// or one that divides it (the result is then averaged down).
    pub scale: Option<usize>,
    /// How the picture is cut.
    pub tiles: TileOptions,
    /// Share of the network's picture in the result, 0 to 1; the rest is the input, enlarged.
    pub strength: f32,
    /// Whether a network may make a gray picture coloured.
    pub color_on_gray: bool,
    /// Standard deviation of the noise in 8-bit code values, for networks that ask for it.
    pub noise: Option<f32>,
}

impl Default for TaskSettings {
    fn default() -> Self {
        Self {
            scale: None,
            tiles: TileOptions::default(),
            strength: 1.0,
            color_on_gray: false,
            noise: None,
        }
    }
}

/// A network with what is asked of it.
#[derive(Debug)]
pub struct Task {
    network: OnLanes,
    description: Arc<Description>,
    settings: TaskSettings,
    /// Output pixels for one pixel of the network's input, along each side.
    network_scale: usize,
    /// Output pixels for one input pixel, along each side.
    scale: usize,
}

impl Task {
    /// A network with what is asked of it.
    ///
    /// # Errors
    /// `invalid_request` when the network cannot do it: another scale, a strength outside 0 to 1,
    /// exact tiles of a network that sees the whole picture, a noise level that is missing or not
    /// asked for, a network that does not make pictures of pictures.
    pub fn new(
        network: OnLanes,
        description: Arc<Description>,
        settings: TaskSettings,
    ) -> Result<Self> {
        let network_scale = network_scale(&description)?;
        let scale = Self::check(&description, &settings)?;
        Ok(Self {
            network,
            description,
            settings,
            network_scale,
            scale,
        })
    }

    /// What a task would answer before there is a network: output pixels for one input pixel,
    /// along each side.
    ///
    /// # Errors
    /// As [`Task::new`].
    pub fn check(description: &Description, settings: &TaskSettings) -> Result<usize> {
        let interface = description.interface;
        let network_scale = network_scale(description)?;
        let scale = wanted_scale(network_scale, interface, settings.scale)?;
        check_settings(settings, interface, &description.geometry)?;
        Ok(scale)
    }

    /// The same of [`Task::output`].
    pub fn output_of(
        description: &Description,
        settings: &TaskSettings,
        input: PixelFormat,
    ) -> PixelFormat {
        let gray = input.model == ColorModel::Gray;
        match route(description, settings, gray) {
            Route::GrayToRgb => PixelFormat {
                model: ColorModel::Rgb,
                ..input
            },
            _ => input,
        }
    }

    /// The same of [`Task::memory_bound`]; `scale` as from [`Task::check`].
    pub fn memory_bound_of(description: &Description, scale: usize) -> u64 {
        let per_pixel = description.geometry.bytes_per_pixel;
        let planes = plane_bytes(description, scale);
        (TILE_BYTES as f64 * (1.0 + planes / per_pixel.max(1.0))) as u64
    }

    /// Output pixels for one input pixel, along each side.
    pub fn scale(&self) -> usize {
        self.scale
    }

    /// The network at work.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The format that comes out for a format that goes in.
    pub fn output(&self, input: PixelFormat) -> PixelFormat {
        Self::output_of(&self.description, &self.settings, input)
    }

    /// Bytes beside input and output: activations of the largest tile, its planes and its result.
    pub fn memory(&self, width: usize, height: usize) -> Result<u64> {
        let layout = self.layout(width, height)?;
        let planes = plane_bytes(&self.description, self.scale);
        let per_pixel = self.geometry().bytes_per_pixel + planes;
        let mut bytes = layout.largest() as f64 * per_pixel;
        if let Seams::Blended(_) = layout.seams() {
            // Rows that wait for the tiles below them.
            let rows = (layout.largest() as f64).sqrt();
            bytes += (width * self.scale) as f64 * rows * (self.scale * 3 * 4) as f64;
        }
        Ok(bytes as u64)
    }

    /// The most that [`Task::memory`] asks for, whatever the picture, but for its width.
    pub fn memory_bound(&self) -> u64 {
        Self::memory_bound_of(&self.description, self.scale)
    }

    /// The picture that the network makes.
    ///
    /// # Errors
    /// `oom` when there is no memory, `output_invalid` when the network makes what is no picture,
    /// `corrupt` when the picture's profile cannot be used.
    pub fn apply(&self, raster: &Raster) -> Result<Outcome> {
        let model = raster.format().model;
        let standard = match own_profile(raster) {
            Some(_) => Some(color::to_srgb(raster.clone())?),
            None => None,
        };
        // A profile that is sRGB by another name is left as it is.
        let standard = standard.filter(|standard| standard.icc() != raster.icc());
        let made = match (standard, raster.icc().cloned()) {
            (Some(standard), Some(profile)) => {
                let made = self.run(&standard)?;
                let mut made = color::to_profile(made, profile)?;
                gamut::give_back(&mut made, raster, &standard, self.scale)?;
                drop(standard);
                finish(made, raster, self.scale)?
            }
            // The network reads the samples as they are: they are sRGB, or gray.
            _ => finish(self.run(raster)?, raster, self.scale)?,
        };
        // Gray that became coloured is sRGB; a gray profile does not fit it.
        let made = if made.format().model == model {
            made
        } else {
            made.with_icc(Some(Arc::from(color::srgb_profile())))
        };
        let change = self.change(&made)?;
        Ok(Outcome::changed(made, change))
    }

    fn run(&self, raster: &Raster) -> Result<Raster> {
        let (width, height) = (raster.width() as usize, raster.height() as usize);
        let layout = self.layout(width, height)?;
        let gray = raster.format().model == ColorModel::Gray;
        let route = self.route(gray);
        let format = self.output(raster.format());
        let large = |side: u32| {
            side.checked_mul(self.scale as u32).ok_or_else(|| {
                let message = format!("a side of {side} pixels times {}", self.scale);
                Error::new(Code::LimitsExceeded, message)
            })
        };
        let mut made = Raster::new(large(raster.width())?, large(raster.height())?, format)
            .with_icc(match route {
                Route::GrayToRgb => None,
                _ => raster.icc().cloned(),
            })
            .with_ppi(raster.ppi().map(|ppi| Ppi {
                x: ppi.x * self.scale as f64,
                y: ppi.y * self.scale as f64,
            }));
        let pages = self.statistics(raster, route, layout.seams())?;
        let channels = format.color_channels();
        layout.run(
            channels,
            self.scale,
            self.network.lanes().group(),
            |tiles| self.tiles(raster, route, tiles, pages.as_ref()),
            |rect, planes| {
                write_planes(&mut made, rect, planes);
                Ok(())
            },
        )?;
        Ok(made)
    }

    /// The planes of tiles, in the picture's channels, at the wanted scale.
    fn tiles(
        &self,
        raster: &Raster,
        route: Route,
        tiles: &[Tile],
        pages: Option<&Pages>,
    ) -> Result<Vec<Vec<f32>>> {
        let mut requests = Vec::with_capacity(tiles.len());
        let mut beside = Vec::with_capacity(tiles.len());
        for tile in tiles {
            let (planes, chroma) = self.input(raster, route, &tile.input);
            requests.push(self.request(planes, route, &tile.input, pages.map(Book::replay)));
            beside.push(chroma);
        }
        let made = self.network.forward(requests)?;
        let finished = tiles
            .iter()
            .zip(made)
            .zip(beside)
            .map(|((tile, made), chroma)| self.finished(raster, route, &tile.input, made, &chroma));
        Ok(finished.collect())
    }

    /// The samples that the network reads, and the chroma that passes beside it. Samples that need
    /// no arithmetic stay what they are.
    fn input(&self, raster: &Raster, route: Route, region: &Rect) -> (Planes, Vec<f32>) {
        let before = self.before();
        if before == 1 && route != Route::LumaOfRgb {
            return (sample_planes(raster, region), Vec::new());
        }
        let size = (region.height(), region.width());
        let (planes, chroma) = route.to_network(planes(raster, region), size.0 * size.1);
        (Planes::F32(bicubic(&planes, size, before)), chroma)
    }

    fn request(
        &self,
        planes: Planes,
        route: Route,
        region: &Rect,
        book: Option<Arc<Book>>,
    ) -> Request {
        let interface = self.interface();
        let range = scale_of(interface, true);
        let noise = self.settings.noise.unwrap_or(0.0) / 255.0 * range.0;
        let repeat = route.repeat();
        Request {
            planes,
            channels: interface.picture_channels() / repeat,
            height: region.height() * self.before(),
            width: region.width() * self.before(),
            repeat,
            range,
            extra: (interface.extra == Extra::NoiseLevel).then_some(noise),
            book,
        }
    }

    /// A tile's planes of what the network made of it.
    fn finished(
        &self,
        raster: &Raster,
        route: Route,
        region: &Rect,
        mut made: Vec<f32>,
        chroma: &[f32],
    ) -> Vec<f32> {
        let (factor, shift) = scale_of(self.interface(), false);
        for value in &mut made {
            *value = *value * factor + shift;
        }
        let size = (region.height(), region.width());
        let factor = self.network_scale * self.before();
        let large = (size.0 * factor, size.1 * factor);
        let chroma = bicubic(chroma, size, factor);
        let made = route.to_picture(made, &chroma, large.0 * large.1);
        let mut made = averaged(made, large, factor / self.scale);
        if self.settings.strength < 1.0 {
            let plain = bicubic(&planes(raster, region), size, self.scale);
            // A gray picture that became coloured is blended with its gray in all channels.
            let plain = plain.iter().cycle();
            for (made, plain) in made.iter_mut().zip(plain) {
                *made = plain + (*made - plain) * self.settings.strength;
            }
        }
        made
    }

    /// The statistics of the whole picture, from a smaller copy of it, when the network normalises
    /// by them and the picture is cut.
    fn statistics(&self, raster: &Raster, route: Route, seams: Seams) -> Result<Option<Pages>> {
        if self.geometry().halo.is_some() || seams == Seams::None {
            return Ok(None);
        }
        let per_pixel = self.geometry().bytes_per_pixel.max(1.0);
        let pixels = TILE_BYTES as f64 / per_pixel;
        let shrink = (pixels / raster.pixels() as f64).sqrt().min(1.0);
        let side = |len: u32| ((f64::from(len) * shrink) as u32).max(1);
        let resize = Resize {
            to: Target::Exact {
                width: side(raster.width()),
                height: side(raster.height()),
            },
            filter: Filter::Box,
            enlarge: false,
        };
        let small = resize.apply(raster.clone())?.raster;
        let step = self.geometry().multiple_of;
        let padded = |len: u32| {
            (len as usize)
                .max(self.interface().min_side)
                .next_multiple_of(step)
        };
        let region = Rect {
            x: 0..padded(small.width()),
            y: 0..padded(small.height()),
        };
        let book = Book::collect();
        let (planes, _) = self.input(&small, route, &region);
        let request = self.request(planes, route, &region, Some(Arc::clone(&book)));
        self.network.forward(vec![request])?;
        let pages = book.pages();
        Ok((!pages.is_empty()).then_some(pages))
    }

    fn layout(&self, width: usize, height: usize) -> Result<Layout> {
        let mut geometry = *self.geometry();
        let before = self.before();
        if before > 1 {
            // The network sees the enlarged picture; tiles are cut from the one before it, and two
            // pixels more feed the enlargement.
            let shrink = |halo: usize| halo.div_ceil(before) + 2;
            geometry.halo = geometry.halo.map(shrink);
            geometry.block_halo = geometry.block_halo.map(shrink);
            geometry.bytes_per_pixel *= (before * before) as f64;
        }
        let min_side = self.interface().min_side.div_ceil(before);
        Layout::new((width, height), &geometry, min_side, &self.settings.tiles)
    }

    fn change(&self, made: &Raster) -> Result<Change> {
        let (width, height) = (made.width() as usize, made.height() as usize);
        let layout = self.layout(width / self.scale, height / self.scale)?;
        let name = self.description.architecture;
        let summary = match (self.scale, self.settings.strength) {
            (1, 1.0) => format!("passed through a network ({name})"),
            (1, strength) => format!("passed through a network ({name}) with strength {strength}"),
            (scale, 1.0) => format!("enlarged ×{scale} by a network ({name})"),
            (scale, strength) => {
                format!("enlarged ×{scale} by a network ({name}) with strength {strength}")
            }
        };
        let change = Change::new(summary)
            .value("scale", self.scale as f64)
            .value("tiles", layout.len() as f64);
        Ok(match layout.seams() {
            Seams::Blended(overlap) => change.value("blended_pixels", overlap as f64),
            _ => change,
        })
    }

    fn route(&self, gray: bool) -> Route {
        route(&self.description, &self.settings, gray)
    }

    fn interface(&self) -> Interface {
        self.description.interface
    }

    fn geometry(&self) -> &Geometry {
        &self.description.geometry
    }

    /// How often larger the picture is made before it meets the network.
    fn before(&self) -> usize {
        before(&self.description, self.scale)
    }
}

/// Output pixels for one pixel of the network's input, along each side.
fn network_scale(description: &Description) -> Result<usize> {
    match description.geometry.scale {
        (scale, 1) => Ok(scale),
        (up, down) => {
            let message = format!("a network that makes pictures {up}/{down} of the size");
            Err(Error::new(Code::InvalidRequest, message))
        }
    }
}

fn route(description: &Description, settings: &TaskSettings, gray: bool) -> Route {
    let colors = description.interface.colors;
    let made = description.geometry.out_channels;
    Route::new(gray, colors, made, settings.color_on_gray)
}

fn before(description: &Description, scale: usize) -> usize {
    match description.interface.enlargement {
        Enlargement::Inside => 1,
        Enlargement::Before => scale,
    }
}

/// Bytes of planes on their way in and out, for one input pixel.
fn plane_bytes(description: &Description, scale: usize) -> f64 {
    let (up, down) = description.geometry.scale;
    let network = up as f64 / down as f64;
    let area = (network * before(description, scale) as f64).powi(2);
    // In, chroma, out, and the result beside the enlarged input.
    12.0 * 2.0 + area * 12.0 * 3.0
}

/// The profile of colours that are not sRGB. Gray passes as it is: its curve is close to that of
/// sRGB in every profile that scans have, and a conversion there and back would cost precision.
fn own_profile(raster: &Raster) -> Option<Arc<[u8]>> {
    let profile = raster.icc()?;
    let fits = color::check_profile(profile, ColorModel::Rgb).is_usable();
    (raster.format().model == ColorModel::Rgb && fits).then(|| Arc::clone(profile))
}

/// The factor to the network's values (or back), the scale of its luma included.
fn scale_of(interface: Interface, into: bool) -> (f32, f32) {
    // Y = 16 + 219·y of 255.
    let video = interface.colors == Colors::VideoLuma;
    let (gain, lift) = if video {
        (219.0 / 255.0, 16.0 / 255.0)
    } else {
        (1.0, 0.0)
    };
    if into {
        let (factor, shift) = interface.input.from_unit();
        (gain * factor, lift * factor + shift)
    } else {
        let (factor, shift) = interface.output.to_unit();
        (factor / gain, (shift - lift) / gain)
    }
}

fn wanted_scale(network: usize, interface: Interface, wanted: Option<usize>) -> Result<usize> {
    let refused = |message: String, hint: &str| {
        Err(Error::new(Code::InvalidRequest, message).hint(hint.to_owned()))
    };
    match (interface.enlargement, wanted) {
        (Enlargement::Inside, None) => Ok(network),
        (Enlargement::Inside, Some(wanted)) if wanted > 0 && network.is_multiple_of(wanted) => {
            Ok(wanted)
        }
        (Enlargement::Inside, Some(wanted)) => refused(
            format!("a network that enlarges ×{network} cannot be asked for ×{wanted}"),
            "take a `scale` that divides the network's, or follow it with `run.resize`",
        ),
        (Enlargement::Before, Some(wanted)) if (1..=8).contains(&wanted) => Ok(wanted),
        (Enlargement::Before, Some(wanted)) => refused(
            format!("a scale of {wanted} is not between 1 and 8"),
            "give `scale` as a whole number from 1 to 8",
        ),
        (Enlargement::Before, None) => refused(
            "this network sharpens what was enlarged before, and no scale is given".to_owned(),
            "give the `scale` that it was trained for",
        ),
    }
}

fn check_settings(
    settings: &TaskSettings,
    interface: Interface,
    geometry: &Geometry,
) -> Result<()> {
    let refused = |message: &str, hint: &str| {
        Err(Error::new(Code::InvalidRequest, message).hint(hint.to_owned()))
    };
    if !(0.0..=1.0).contains(&settings.strength) {
        return refused(
            "`strength` is not between 0 and 1",
            "1 is the network alone",
        );
    }
    if settings.tiles.exact && geometry.block_halo.is_none() {
        return refused(
            "this network looks at the whole picture, so its tiles cannot be exact",
            "leave `exact` out",
        );
    }
    match (interface.extra, settings.noise) {
        (Extra::NoiseLevel, None) => refused(
            "this network wants to be told how strong the noise is",
            "give `sigma` in 8-bit code values, 0 to 75",
        ),
        (Extra::Mask, _) => refused(
            "this network fills holes and has to be told where they are",
            "use run.repair for it",
        ),
        (Extra::None, Some(_)) => refused(
            "this network takes no noise level",
            "leave `sigma` out; `strength` blends with the input",
        ),
        (Extra::NoiseLevel, Some(noise)) if !(0.0..=255.0).contains(&noise) => refused(
            "`sigma` is not between 0 and 255",
            "usual values are 5 to 50",
        ),
        _ => Ok(()),
    }
}

/// Planes averaged over squares of `factor × factor` pixels.
fn averaged(planes: Vec<f32>, (height, width): (usize, usize), factor: usize) -> Vec<f32> {
    if factor == 1 {
        return planes;
    }
    let (rows, columns) = (height / factor, width / factor);
    let share = 1.0 / (factor * factor) as f32;
    let mut made = Vec::with_capacity(planes.len() / (factor * factor));
    for plane in planes.chunks_exact(height * width) {
        for y in 0..rows {
            for x in 0..columns {
                let mut sum = 0.0;
                for row in plane[y * factor * width..].chunks(width).take(factor) {
                    sum += row[x * factor..(x + 1) * factor].iter().sum::<f32>();
                }
                made.push(sum * share);
            }
        }
    }
    made
}

/// Gives the picture its alpha channel, enlarged by itself: a network has not learned masks.
fn finish(mut made: Raster, source: &Raster, scale: usize) -> Result<Raster> {
    if !source.format().alpha {
        return Ok(made);
    }
    let mask = mask_of(source);
    let mask = if scale == 1 {
        mask
    } else {
        let resize = Resize {
            to: Target::Exact {
                width: made.width(),
                height: made.height(),
            },
            filter: Filter::CatmullRom,
            enlarge: true,
        };
        resize.apply(mask)?.raster
    };
    put_mask(&mut made, &mask);
    Ok(made)
}

/// The alpha channel as a gray picture.
fn mask_of(source: &Raster) -> Raster {
    let format = PixelFormat::new(source.format().depth, ColorModel::Gray, false);
    let mut mask = Raster::new(source.width(), source.height(), format);
    let region = whole(source);
    if let Some(plane) = fonds_nn::picture::alpha_plane(source, &region) {
        write_planes(&mut mask, &region, &plane);
    }
    mask
}

fn put_mask(made: &mut Raster, mask: &Raster) {
    let channels = made.format().channels();
    match made.format().depth {
        Depth::U8 => put::<u8>(made, mask, channels),
        Depth::U16 => put::<u16>(made, mask, channels),
        Depth::F32 => put::<f32>(made, mask, channels),
    }
}

fn put<T: fonds_core::Sample>(made: &mut Raster, mask: &Raster, channels: usize) {
    if let (Some(to), Some(from)) = (made.as_mut_slice::<T>(), mask.as_slice::<T>()) {
        for (pixel, alpha) in to.chunks_exact_mut(channels).zip(from) {
            pixel[channels - 1] = *alpha;
        }
    }
}

fn whole(raster: &Raster) -> Rect {
    Rect {
        x: 0..raster.width() as usize,
        y: 0..raster.height() as usize,
    }
}
