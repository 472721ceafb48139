//! Sums, products and functions of single values.

use std::borrow::Cow;

use fonds_core::{Code, Error, Result};

use super::super::Engine;
use super::super::buffer::{Buffer, Shape};
use super::super::conv::Activation;
use super::rows::{blocks, blocks_mut, clear_padding, per_lane, same_shape, with_lanes};

impl Engine {
    /// `a + b`.
    pub fn add(&self, a: &Buffer, b: &Buffer) -> Result<Buffer> {
        self.zip(a, b, |a, b| a + b)
    }

    /// `a - b`.
    pub fn subtract(&self, a: &Buffer, b: &Buffer) -> Result<Buffer> {
        self.zip(a, b, |a, b| a - b)
    }

    /// `a · b`, value by value.
    pub fn multiply(&self, a: &Buffer, b: &Buffer) -> Result<Buffer> {
        self.zip(a, b, |a, b| a * b)
    }

    /// `alpha · a + beta · b`: residuals that are scaled, blends.
    pub fn linear_combination(
        &self,
        a: &Buffer,
        alpha: f32,
        b: &Buffer,
        beta: f32,
    ) -> Result<Buffer> {
        if beta == 1.0 {
            return self.zip(a, b, move |a, b| alpha * a + b);
        }
        self.zip(a, b, move |a, b| alpha * a + beta * b)
    }

    /// A function of the values of two activations of one size.
    pub fn zip(
        &self,
        a: &Buffer,
        b: &Buffer,
        function: impl Fn(f32, f32) -> f32 + Sync,
    ) -> Result<Buffer> {
        let shape = same_shape(a, b)?;
        let mut out = self.buffer(shape)?;
        out.fill_rows(|picture, y, row| {
            let pairs = a.row(picture, y).iter().zip(b.row(picture, y));
            for (to, (a, b)) in row.iter_mut().zip(pairs) {
                *to = function(*a, *b);
            }
            clear_padding(shape, row);
        });
        Ok(out.freeze())
    }

    /// A function of each value.
    pub fn map(&self, input: &Buffer, function: impl Fn(f32) -> f32 + Sync) -> Result<Buffer> {
        let shape = input.shape();
        let mut out = self.buffer(shape)?;
        out.fill_rows(|picture, y, row| {
            for (to, from) in row.iter_mut().zip(input.row(picture, y)) {
                *to = function(*from);
            }
            clear_padding(shape, row);
        });
        Ok(out.freeze())
    }

    /// The values with the other sign.
    pub fn negate(&self, input: &Buffer) -> Result<Buffer> {
        self.map(input, |value| -value)
    }

    /// The values, those outside `low..=high` set to the nearer of the two.
    ///
    /// # Errors
    /// `invalid_request` when `low` is above `high` or one of them is NaN.
    pub fn clamp(&self, input: &Buffer, low: f32, high: f32) -> Result<Buffer> {
        // Also catches NaN, which `f32::clamp` would panic on.
        if low.partial_cmp(&high).is_none_or(std::cmp::Ordering::is_gt) {
            let message = format!("values cannot lie between {low} and {high}");
            return Err(Error::new(Code::InvalidRequest, message));
        }
        self.map(input, move |value| value.clamp(low, high))
    }

    /// `activation(value · scale + shift)` with a scale and a shift for each channel, or one for
    /// all.
    pub fn affine(
        &self,
        input: &Buffer,
        scale: &[f32],
        shift: &[f32],
        activation: &Activation,
    ) -> Result<Buffer> {
        let shape = input.shape();
        let activation = checked(activation, shape)?;
        let scale = per_lane("scale", scale, shape)?;
        let shift = per_lane("shift", shift, shape)?;
        with_lanes!(shape, L => {
            let (scale, shift) = (blocks::<L>(&scale), blocks::<L>(&shift));
            self.map_blocks::<L>(input, |_, block, values| {
                let factors = scale[block].iter().zip(&shift[block]);
                for (value, (scale, shift)) in values.iter_mut().zip(factors) {
                    *value = *value * scale + shift;
                }
                activation.apply_lanes(block * L, values);
            })
        })
    }

    /// The activation of each value.
    pub fn activate(&self, input: &Buffer, activation: &Activation) -> Result<Buffer> {
        let activation = checked(activation, input.shape())?;
        with_lanes!(input.shape(), L => {
            self.map_blocks::<L>(input, |_, block, values| {
                activation.apply_lanes(block * L, values);
            })
        })
    }

    /// Changes values in blocks of lanes: `change(picture, block of the pixel, values)`.
    pub(super) fn map_blocks<const L: usize>(
        &self,
        input: &Buffer,
        change: impl Fn(usize, usize, &mut [f32; L]) + Sync,
    ) -> Result<Buffer> {
        let shape = input.shape();
        let of_pixel = shape.pixel_stride() / L;
        let mut out = self.buffer(shape)?;
        out.fill_rows(|picture, y, row| {
            let from = blocks::<L>(input.row(picture, y)).chunks_exact(of_pixel);
            let to = blocks_mut::<L>(row).chunks_exact_mut(of_pixel);
            for (to, from) in to.zip(from) {
                for (block, (to, from)) in to.iter_mut().zip(from).enumerate() {
                    let mut values = *from;
                    change(picture, block, &mut values);
                    *to = values;
                }
            }
            clear_padding(shape, row);
        });
        Ok(out.freeze())
    }
}

/// The activation with a slope for each lane, or an error unless it has one for every channel.
pub(super) fn checked(activation: &Activation, shape: Shape) -> Result<Cow<'_, Activation>> {
    match activation {
        Activation::PRelu(slopes) if !activation.fits(shape.channels) => {
            let message = format!(
                "there are {} slopes for {} channels",
                slopes.len(),
                shape.channels
            );
            Err(Error::new(Code::ModelError, message))
        }
        _ => Ok(activation.padded(shape.pixel_stride())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{engine, expect, filled, shapes, value};
    use super::*;

    #[test]
    fn sums_and_products_are_those_of_the_values() {
        let engine = engine();
        for shape in shapes() {
            let (a, b) = (filled(shape, 1), filled(shape, 2));
            let at = |n, y, x, c| (value(&a, n, y, x, c), value(&b, n, y, x, c));
            expect("add", &engine.add(&a, &b).unwrap(), shape, |n, y, x, c| {
                let (a, b) = at(n, y, x, c);
                a + b
            });
            let result = engine.subtract(&a, &b).unwrap();
            expect("subtract", &result, shape, |n, y, x, c| {
                let (a, b) = at(n, y, x, c);
                a - b
            });
            let result = engine.multiply(&a, &b).unwrap();
            expect("multiply", &result, shape, |n, y, x, c| {
                let (a, b) = at(n, y, x, c);
                a * b
            });
            for beta in [1.0, -0.75] {
                let result = engine.linear_combination(&a, 0.2, &b, beta).unwrap();
                expect("combination", &result, shape, |n, y, x, c| {
                    let (a, b) = at(n, y, x, c);
                    f64::from(0.2_f32) * a + f64::from(beta) * b
                });
            }
        }
    }

    #[test]
    fn functions_act_on_every_value() {
        let engine = engine();
        for shape in shapes() {
            let a = filled(shape, 3);
            let per_channel = |factor: f32| -> Vec<f32> {
                (0..shape.channels)
                    .map(|c| (c as f32 - 3.0) * factor)
                    .collect()
            };
            let (scale, shift) = (per_channel(0.3), per_channel(-0.2));
            expect(
                "negate",
                &engine.negate(&a).unwrap(),
                shape,
                |n, y, x, c| -value(&a, n, y, x, c),
            );
            let result = engine.clamp(&a, -0.5, 0.25).unwrap();
            expect("clamp", &result, shape, |n, y, x, c| {
                value(&a, n, y, x, c).clamp(-0.5, 0.25)
            });
            let slopes = per_channel(0.1);
            let activations = [
                Activation::None,
                Activation::Relu,
                Activation::LeakyRelu(0.2),
                Activation::PRelu(slopes),
                Activation::PRelu(vec![0.25]),
                Activation::Tanh,
                Activation::Sigmoid,
            ];
            for activation in activations {
                let result = engine.activate(&a, &activation).unwrap();
                expect("activate", &result, shape, |n, y, x, c| {
                    f64::from(activation.apply(a.pixel(n, y, x)[c], c))
                });
                let result = engine.affine(&a, &scale, &shift, &activation).unwrap();
                expect("affine", &result, shape, |n, y, x, c| {
                    let value = a.pixel(n, y, x)[c] * scale[c] + shift[c];
                    f64::from(activation.apply(value, c))
                });
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let engine = engine();
        let shape = shapes()[3];
        let a = filled(shape, 1);
        let b = filled(
            Shape {
                width: shape.width + 1,
                ..shape
            },
            1,
        );
        assert_eq!(engine.add(&a, &b).unwrap_err().code(), Code::ModelError);
        assert_eq!(
            engine.clamp(&a, 1.0, 0.0).unwrap_err().code(),
            Code::InvalidRequest
        );
        assert!(engine.clamp(&a, f32::NAN, 0.0).is_err());
        let wrong = vec![1.0; shape.channels + 1];
        assert!(
            engine
                .affine(&a, &wrong, &[0.0], &Activation::None)
                .is_err()
        );
        assert!(engine.activate(&a, &Activation::PRelu(wrong)).is_err());
    }
}
