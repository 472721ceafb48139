//! Runs a network on one picture: `run_model FILE INPUT OUTPUT [KERNEL]`.
//!
//! FILE is a checkpoint of any network that `fonds_restore::zoo` knows. INPUT is a picture; OUTPUT is
//! a PNG of the input's depth, or a `.npy` of 32-bit floats from 0 to 255, `(height, width,
//! channels)`, not clamped. KERNEL is a path of the CPU engine, the fastest one when absent. The
//! picture goes through whole, without tiles, and its profile is not looked at; pipelines do both.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use fonds_core::{Code, ColorModel, Error, Limits, PixelFormat, Raster, Result};
use fonds_image::decode::Document;
use fonds_image::encode::{Embedded, Encoding, encode};
use fonds_nn::act::Dims;
use fonds_nn::backend::Backend;
use fonds_nn::engine::{Engine, Kernel};
use fonds_nn::network::{Enlargement, Extra, Interface};
use fonds_nn::picture::{planes, write_planes};
use fonds_nn::tile::Rect;
use fonds_restore::zoo::{self, Description, Model, Options};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (file, input, output, kernel) = match &arguments[..] {
        [file, input, output] => (file, input, output, Kernel::detect()),
        [file, input, output, kernel] => (file, input, output, Kernel::from_name(kernel)?),
        _ => return Err(request("give FILE INPUT OUTPUT [KERNEL]")),
    };
    let backend = Backend::Engine(Engine::new(kernel));
    let model = zoo::open(file.as_ref(), &Options::default(), &backend)?;
    describe(&model.description);
    let picture = read(input.as_ref())?;
    let made = run(&model, &picture)?;
    if Path::new(output)
        .extension()
        .is_some_and(|extension| extension == "npy")
    {
        write(output, |out| write_npy(out, &made))
    } else {
        write(output, |out| {
            let raster = made.into_raster(&picture);
            encode(&raster, &Encoding::PNG, &Embedded::default(), out)
        })
    }
}

#[expect(clippy::print_stdout, reason = "an example talks to its user")]
fn describe(description: &Description) {
    let Description {
        architecture,
        scale: (up, down),
        parameters,
        geometry,
        ..
    } = description;
    let details: Vec<String> = description
        .details
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    println!(
        "{architecture} ({}), {parameters} parameters",
        details.join(", ")
    );
    println!(
        "scale {up}/{down}, {:.0} operations a pixel",
        geometry.operations_per_pixel
    );
    match geometry.halo {
        Some(halo) => println!("a pixel depends on {halo} pixels around it"),
        None => println!("every pixel depends on the whole picture"),
    }
}

/// What a network made: planes `[channels, height, width]`, 0 to 1.
struct Made {
    channels: usize,
    height: usize,
    width: usize,
    planes: Vec<f32>,
}

fn run(model: &Model, picture: &Raster) -> Result<Made> {
    let interface = model.description.interface;
    check(interface)?;
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let multiple = model.description.geometry.multiple_of;
    let fitting = |side: usize| side.max(interface.min_side).next_multiple_of(multiple);
    let region = Rect {
        x: 0..fitting(width),
        y: 0..fitting(height),
    };
    let mut values = planes(picture, &region);
    let area = region.width() * region.height();
    match (interface.picture_channels(), values.len() / area) {
        (3, 1) => values = values.repeat(3),
        (1, 3) => values = luma(&values, area),
        _ => {}
    }
    let (factor, shift) = interface.input.from_unit();
    for value in &mut values {
        *value = *value * factor + shift;
    }
    let dims = Dims {
        batch: 1,
        channels: interface.picture_channels(),
        height: region.height(),
        width: region.width(),
    };
    let output = model
        .network()
        .forward(&model.backend().import(dims, &values)?)?;
    let (up, down) = model.description.scale;
    let output = output.crop(0, 0, height * up / down, width * up / down)?;
    let (factor, shift) = interface.output.to_unit();
    let Dims {
        channels,
        height,
        width,
        ..
    } = output.dims();
    let planes = output
        .to_vec()?
        .into_iter()
        .map(|value| value * factor + shift)
        .collect();
    Ok(Made {
        channels,
        height,
        width,
        planes,
    })
}

/// That the network wants nothing beside the picture.
fn check(interface: Interface) -> Result<()> {
    if interface.enlargement == Enlargement::Before {
        return Err(request(
            "the network wants the picture to be enlarged before",
        ));
    }
    match interface.extra {
        Extra::None => Ok(()),
        Extra::NoiseLevel => Err(request(
            "the network wants to be told how strong the noise is",
        )),
        Extra::Mask => Err(request("the network wants a mask of what to fill")),
    }
}

/// Luma (BT.601 of full range) of planes of red, green and blue.
fn luma(rgb: &[f32], area: usize) -> Vec<f32> {
    let weighted =
        |at: usize| 0.299 * rgb[at] + 0.587 * rgb[at + area] + 0.114 * rgb[at + 2 * area];
    (0..area).map(weighted).collect()
}

impl Made {
    /// A picture of the depth of another; planes that are no colours are left out.
    fn into_raster(self, like: &Raster) -> Raster {
        let model = if self.channels < 3 {
            ColorModel::Gray
        } else {
            ColorModel::Rgb
        };
        let format = PixelFormat::new(like.format().depth, model, false);
        let mut raster = Raster::new(self.width as u32, self.height as u32, format);
        let region = Rect {
            x: 0..self.width,
            y: 0..self.height,
        };
        let colors = format.color_channels() * self.width * self.height;
        write_planes(&mut raster, &region, &self.planes[..colors]);
        raster
    }
}

fn read(path: &Path) -> Result<Raster> {
    let bytes = std::fs::read(path).map_err(|error| {
        Error::from_io(error, Code::Unreadable, "the picture cannot be read").at_path(path)
    })?;
    let page = Document::open(&bytes, &Limits::default()).and_then(|mut file| file.decode(0));
    Ok(page.map_err(|error| error.at_path(path))?.raster)
}

/// NumPy's format, version 1.0, in the order of pixels.
fn write_npy(out: &mut File, made: &Made) -> Result<()> {
    let Made {
        channels,
        height,
        width,
        planes,
    } = made;
    let mut header = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({height}, {width}, {channels}), }}"
    );
    // Magic, version and length take 10 bytes; all of it is a multiple of 64.
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    let area = height * width;
    for pixel in 0..area {
        for channel in 0..*channels {
            bytes.extend((planes[channel * area + pixel] * 255.0).to_le_bytes());
        }
    }
    out.write_all(&bytes)
        .map_err(|error| Error::from_io(error, Code::WriteFailed, "the output cannot be written"))
}

fn write(path: &str, content: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let file = File::create(path)
        .map_err(|error| Error::from_io(error, Code::WriteFailed, "the output cannot be made"));
    file.and_then(|mut file| content(&mut file))
        .map_err(|error| error.at_path(path))
}

fn request(message: &str) -> Error {
    Error::new(Code::InvalidRequest, message)
}
