//! Pictures from a trained generator: its own choice, of a class, or on the way from one to another.

use std::path::PathBuf;

use fonds_core::{Code, Error, Raster, Result, Seed};
use fonds_gan::models::noise::NoiseGenerator;
use fonds_gan::trainers::{NoiseSource, sample};
use fonds_nn::train::{Batch, Chance, Pixels, Stack};
use fonds_nn::weights::Checkpoint;

use super::export::CLASSES;
use super::grid::grid;
use crate::networks::{Networks, of_weights};

/// Pictures of a grid from left to right.
const COLUMNS: usize = 8;
/// Pictures that are made at once.
const TOGETHER: usize = 16;

/// What pictures are wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleOptions {
    /// The generator's weights.
    pub model: PathBuf,
    /// How many pictures.
    pub count: usize,
    /// What their noise follows from.
    pub seed: u64,
    /// The class, by number from 0 or by name; of a generator with classes all take turns when there
    /// is none.
    pub class: Option<String>,
    /// From the first picture of one seed to that of another, in `count` steps.
    pub between: Option<(u64, u64)>,
}

/// Pictures that a generator made, and what it is.
#[derive(Debug, Clone)]
pub struct Samples {
    /// The generator's architecture.
    pub architecture: &'static str,
    pictures: Vec<Pixels>,
}

impl Samples {
    /// All pictures side by side, on white.
    ///
    /// # Errors
    /// `internal` when there is no picture of such a size.
    pub fn grid(&self) -> Result<Raster> {
        let rows: Vec<Vec<Pixels>> = self.pictures.chunks(COLUMNS).map(<[_]>::to_vec).collect();
        grid(&rows)
    }

    /// Each picture by itself.
    ///
    /// # Errors
    /// As [`Samples::grid`].
    pub fn each(&self) -> Result<Vec<Raster>> {
        let pictures = self.pictures.iter();
        pictures.map(super::grid::picture).collect()
    }
}

/// Makes pictures.
///
/// # Errors
/// `model_error` when the weights are those of no generator from noise, `invalid_request` for a class
/// that it does not know.
pub fn generate(networks: &Networks, options: &SampleOptions) -> Result<Samples> {
    let file = options.model.display().to_string();
    let checkpoint = networks.read(&file, None)?;
    let Some(source) = NoiseSource::recognize(&checkpoint.tensors) else {
        let error = Error::new(
            Code::ModelError,
            format!("the weights `{file}` are those of no generator from noise"),
        );
        return Err(
            error.hint("`fonds model inspect FILE` says what they are; run.network runs it")
        );
    };
    let lanes = networks.lanes()?;
    let Some(backend) = lanes.backends().next() else {
        return Err(Error::new(
            Code::Internal,
            "there is nothing to run networks on",
        ));
    };
    let generator = source.load(&checkpoint.tensors, backend);
    let generator = generator.map_err(|error| of_weights(&file, &error))?;
    let conditions = conditions(&checkpoint, &*generator, options)?;
    let noise = noise(options, generator.latent());
    let mut pictures = Vec::with_capacity(options.count);
    for start in (0..options.count).step_by(TOGETHER) {
        let end = (start + TOGETHER).min(options.count);
        let part = noise[start..end].to_vec();
        let stack = Stack {
            dims: [part.len(), generator.latent(), 1, 1],
            values: part.concat(),
        };
        let condition = conditions.as_ref().map(|rows| rows[start..end].to_vec());
        let batch = Batch::from_stacks(vec![stack], condition)?;
        let made = sample(
            &*generator,
            backend,
            batch.kind(0)?,
            batch.condition.as_ref(),
        )?;
        for mut picture in Pixels::all(&made)? {
            for value in &mut picture.values {
                *value = f32::midpoint(*value, 1.0).clamp(0.0, 1.0);
            }
            pictures.push(picture);
        }
    }
    Ok(Samples {
        architecture: source.name(),
        pictures,
    })
}

/// The conditions of all pictures; none where the generator has none.
fn conditions(
    checkpoint: &Checkpoint,
    generator: &dyn NoiseGenerator,
    options: &SampleOptions,
) -> Result<Option<Vec<Vec<f32>>>> {
    let count = generator.conditions();
    let names: Vec<&str> = match checkpoint.metadata.get(CLASSES) {
        Some(names) => names.lines().collect(),
        None => Vec::new(),
    };
    let wanted = match &options.class {
        None => None,
        Some(_) if count == 0 => {
            let error = Error::new(Code::InvalidRequest, "this generator knows no classes");
            return Err(error.hint("leave --class out"));
        }
        Some(class) => {
            let named = names.iter().position(|name| name == class);
            let number = named.or_else(|| class.parse().ok());
            match number.filter(|&number| number < count) {
                Some(number) => Some(number),
                None => return Err(unknown_class(class, &names, count)),
            }
        }
    };
    if count == 0 {
        return Ok(None);
    }
    let row = |index: usize| {
        let mut row = vec![0.0; count];
        row[wanted.unwrap_or(index % count)] = 1.0;
        row
    };
    Ok(Some((0..options.count).map(row).collect()))
}

fn unknown_class(class: &str, names: &[&str], count: usize) -> Error {
    let message = format!("this generator knows no class `{class}`");
    let error = Error::new(Code::InvalidRequest, message);
    if names.is_empty() {
        return error.hint(format!("give a number from 0 to {}", count - 1));
    }
    error.hint(format!("its classes are {}", names.join(", ")))
}

/// The noise of all pictures.
fn noise(options: &SampleOptions, latent: usize) -> Vec<Vec<f32>> {
    let draw = |seed: u64, index: usize| {
        let mut chance = Chance::at(Seed::new(seed), "sample", index as u64);
        let values = (0..latent).map(|_| chance.normal());
        values.collect::<Vec<f64>>()
    };
    let narrow = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
    match options.between {
        None => (0..options.count)
            .map(|index| narrow(draw(options.seed, index)))
            .collect(),
        Some((from, to)) => {
            let (from, to) = (draw(from, 0), draw(to, 0));
            let steps = options.count.saturating_sub(1).max(1) as f64;
            (0..options.count)
                .map(|index| narrow(turned(&from, &to, index as f64 / steps)))
                .collect()
        }
    }
}

/// A share of the way between two vectors on the sphere that they lie on: noise in many dimensions
/// has one length, and what lies straight between is too short (White 2016, arXiv:1609.04468).
fn turned(from: &[f64], to: &[f64], share: f64) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let lengths = (dot(from, from) * dot(to, to)).sqrt();
    let angle = (dot(from, to) / lengths.max(f64::MIN_POSITIVE))
        .clamp(-1.0, 1.0)
        .acos();
    let (before, after) = if angle.sin().abs() < 1e-9 {
        (1.0 - share, share)
    } else {
        let sine = angle.sin();
        (
            ((1.0 - share) * angle).sin() / sine,
            (share * angle).sin() / sine,
        )
    };
    let pairs = from.iter().zip(to);
    pairs.map(|(from, to)| before * from + after * to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_between_keeps_its_length() {
        let (from, to) = ([3.0, 0.0, 0.0], [0.0, 3.0, 0.0]);
        for (share, expected) in [
            (0.0, [3.0, 0.0, 0.0]),
            (0.5, [4.5_f64.sqrt(), 4.5_f64.sqrt(), 0.0]),
            (1.0, [0.0, 3.0, 0.0]),
        ] {
            let found = turned(&from, &to, share);
            let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
            assert!(apart.fold(0.0, f64::max) < 1e-12, "{share}: {found:?}");
        }
        let same = turned(&from, &from, 0.3);
        let apart = same.iter().zip(&from).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f64::max) < 1e-12, "{same:?}");
    }

    #[test]
    fn noise_follows_from_seed_and_number_alone() {
        let options = |count, seed, between| SampleOptions {
            model: PathBuf::new(),
            count,
            seed,
            class: None,
            between,
        };
        let few = noise(&options(2, 1, None), 4);
        let many = noise(&options(5, 1, None), 4);
        assert_eq!(few[..], many[..2]);
        let walk = noise(&options(3, 9, Some((1, 2))), 4);
        assert_eq!(walk[0], few[0]);
        assert_eq!(walk[2], noise(&options(1, 2, None), 4)[0]);
    }
}
