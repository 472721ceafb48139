//! Where the pixels of a derivative come from in its original, so that the two can be laid on each
//! other although one of them was cropped, turned or enlarged.

use serde_json::{Map, Value};

use crate::provenance::{Event, EventOutcome, Sidecar};

/// Sizes that come out of several roundings may differ by so many pixels.
const SLACK: f64 = 2.0;

/// An affine map from a place in the derivative to that in the original, both as shares of width and
/// height from the top left.
///
/// `(x, y)` goes to `(a·x + c·y + e, b·x + d·y + f)`, in the order `[a, b, c, d, e, f]` of SVG and CSS.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Align(pub [f64; 6]);

impl Align {
    /// The same frame.
    pub const SAME: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    /// The map that follows from what a sidecar's steps did to a source of this size in pixels.
    ///
    /// `None` when they do not explain the derivative's size: the pictures cannot be compared place by
    /// place then.
    pub fn of(sidecar: &Sidecar, width: u32, height: u32) -> Option<Self> {
        let mut frame = Frame::of(width, height);
        let done = sidecar.events.iter();
        for event in done.filter(|event| event.outcome == EventOutcome::Pass) {
            frame.follow(event);
        }
        let derivative = &sidecar.derivative;
        frame.at_size(f64::from(derivative.width), f64::from(derivative.height))
    }

    /// Where a place in the derivative lies in the original.
    pub fn source(&self, x: f64, y: f64) -> (f64, f64) {
        let [a, b, c, d, e, f] = self.0;
        (a * x + c * y + e, b * x + d * y + f)
    }
}

/// A picture on its way through the steps: its size, and the map from its pixels to the source's.
struct Frame {
    source: (f64, f64),
    size: (f64, f64),
    map: [f64; 6],
}

impl Frame {
    fn of(width: u32, height: u32) -> Self {
        let size = (f64::from(width), f64::from(height));
        Self {
            source: size,
            size,
            map: Align::SAME.0,
        }
    }

    fn follow(&mut self, event: &Event) {
        let measured = |name: &str| figure(&event.measured, name);
        match event.operation.as_deref() {
            Some("crop") => {
                let found = ["left", "top", "width", "height"].map(measured);
                if let [Some(left), Some(top), Some(width), Some(height)] = found {
                    self.before([1.0, 0.0, 0.0, 1.0, left, top]);
                    self.size = (width, height);
                }
            }
            Some("deskew") => {
                if let Some(degrees) = measured("angle_degrees") {
                    self.turn(degrees);
                }
            }
            Some("resize") => {
                if let (Some(width), Some(height)) = (measured("width"), measured("height")) {
                    self.resize(width, height);
                }
            }
            Some(_) => {
                // Networks that enlarge say by how much.
                if let Some(scale) = measured("scale").filter(|scale| *scale > 0.0) {
                    self.resize(self.size.0 * scale, self.size.1 * scale);
                }
            }
            None => {}
        }
    }

    /// As `fonds_image` turns: about the centre, on a canvas that holds the corners.
    fn turn(&mut self, degrees: f64) {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let (width, height) = self.size;
        let side = |a: f64, b: f64| ((a * cos.abs() + b * sin.abs()) - 1e-3).ceil();
        let (new_width, new_height) = (side(width, height), side(height, width));
        let (x, y) = (new_width / 2.0, new_height / 2.0);
        let e = width / 2.0 - (cos * x + sin * y);
        let f = height / 2.0 - (cos * y - sin * x);
        self.before([cos, -sin, sin, cos, e, f]);
        self.size = (new_width, new_height);
    }

    fn resize(&mut self, width: f64, height: f64) {
        let (across, down) = (self.size.0 / width, self.size.1 / height);
        self.before([across, 0.0, 0.0, down, 0.0, 0.0]);
        self.size = (width, height);
    }

    /// Puts a map from new pixels to those until now before the map so far.
    fn before(&mut self, [a, b, c, d, e, f]: [f64; 6]) {
        let [a0, b0, c0, d0, e0, f0] = self.map;
        self.map = [
            a0 * a + c0 * b,
            b0 * a + d0 * b,
            a0 * c + c0 * d,
            b0 * c + d0 * d,
            a0 * e + c0 * f + e0,
            b0 * e + d0 * f + f0,
        ];
    }

    fn at_size(mut self, width: f64, height: f64) -> Option<Align> {
        if self.size.0 < 1.0 || self.size.1 < 1.0 || width < 1.0 || height < 1.0 {
            return None;
        }
        // Networks may have been scaled down afterwards, which changes no proportion.
        let scaled = self.size.1 * width / self.size.0;
        if (scaled - height).abs() > SLACK {
            return None;
        }
        self.resize(width, height);
        let [a, b, c, d, e, f] = self.map;
        let (across, down) = self.source;
        let relative = [
            a * width / across,
            b * width / down,
            c * height / across,
            d * height / down,
            e / across,
            f / down,
        ];
        Some(Align(relative.map(|value| (value * 1e6).round() / 1e6)))
    }
}

fn figure(figures: &Map<String, Value>, name: &str) -> Option<f64> {
    figures
        .get(name)?
        .as_f64()
        .filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provenance::{Derivative, DigestWire, EventType, Source};
    use fonds_core::Digest;
    use serde_json::json;

    fn sidecar(steps: &[(&str, Value)], width: u32, height: u32) -> Sidecar {
        let digest = DigestWire(Digest::of(b""));
        let derivative = Derivative {
            path: "derivatives/a.png".into(),
            sha256: digest,
            format: "image/png".into(),
            puid: None,
            width,
            height,
            ppi: None,
            usage: None,
            digital_source_type: None,
        };
        let source = Source {
            path: "a".into(),
            page: 1,
            sha256: digest,
            sha256_after: None,
            size: 1,
            puid: None,
            digital_source_type: None,
        };
        let mut sidecar = Sidecar::new(derivative, source, Digest::of(b""));
        for (operation, measured) in steps {
            let kind = EventType::Modification;
            let id = uuid::Uuid::nil();
            let mut event =
                Event::new(id, kind, "", EventOutcome::Pass).of_step(operation, operation);
            event.measured = measured.as_object().unwrap().clone();
            sidecar.events.push(event);
        }
        sidecar
    }

    fn near(found: (f64, f64), expected: (f64, f64)) {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-5;
        assert!(
            close(found.0, expected.0) && close(found.1, expected.1),
            "{found:?} is not {expected:?}"
        );
    }

    #[test]
    fn a_picture_that_kept_its_frame() {
        let same = sidecar(&[("tone", json!({}))], 100, 50);
        assert_eq!(Align::of(&same, 100, 50), Some(Align::SAME));
        let enlarged = sidecar(&[("upscale", json!({ "scale": 2.0 }))], 200, 100);
        assert_eq!(Align::of(&enlarged, 100, 50), Some(Align::SAME));
        let smaller = sidecar(&[("resize", json!({ "width": 33, "height": 17 }))], 33, 17);
        assert_eq!(Align::of(&smaller, 100, 50), Some(Align::SAME));
    }

    #[test]
    fn a_crop_is_a_part_of_the_source() {
        let measured = json!({ "left": 20.0, "top": 10.0, "width": 50.0, "height": 25.0 });
        let cropped = sidecar(&[("crop", measured.clone())], 50, 25);
        let align = Align::of(&cropped, 100, 50).unwrap();
        near(align.source(0.0, 0.0), (0.2, 0.2));
        near(align.source(1.0, 1.0), (0.7, 0.7));
        // The same, enlarged afterwards.
        let steps = [("crop", measured), ("upscale", json!({ "scale": 4.0 }))];
        let align = Align::of(&sidecar(&steps, 200, 100), 100, 50).unwrap();
        near(align.source(1.0, 1.0), (0.7, 0.7));
    }

    #[test]
    fn a_turn_keeps_the_centre() {
        let steps = [("deskew", json!({ "angle_degrees": -1.697_641 }))];
        let align = Align::of(&sidecar(&steps, 893, 1145), 860, 1120).unwrap();
        near(align.source(0.5, 0.5), (0.5, 0.5));
        // By −1.7° to the right of the centre is higher in the source.
        let (_, y) = align.source(1.0, 0.5);
        assert!(y > 0.5, "{y}");
    }

    #[test]
    fn what_the_steps_do_not_explain_is_not_aligned() {
        assert_eq!(Align::of(&sidecar(&[], 70, 50), 100, 50), None);
        let mut refused = sidecar(&[("deskew", json!({ "angle_degrees": 3.0 }))], 100, 50);
        refused.events[0].outcome = EventOutcome::Warning;
        assert_eq!(Align::of(&refused, 100, 50), Some(Align::SAME));
    }
}
