//! Outlines of damage that people drew on scans, as stamps.
//!
//! A file is a JSON object of outlines by number: `{"0": {"points": [{"x": 560, "y": 3049}, …],
//! "label": {"name": "Dust"}}, …}`, as the annotations of analogue film damage by Ivanova et al.
//! (2023) have it. Coordinates are pixels of the scan.

use std::collections::BTreeMap;

use fonds_core::{Code, Error, Result};
use serde::Deserialize;

use crate::planes::Planes;

/// Larger outlines are left out: a stamp is a part of a picture.
const LARGEST: f32 = 1536.0;
/// Lines in a row of pixels on which the outline is measured.
const LINES: usize = 4;

#[derive(Deserialize)]
struct OutlineWire {
    points: Vec<PointWire>,
}

#[derive(Deserialize, Clone, Copy)]
struct PointWire {
    x: f32,
    y: f32,
}

/// The stamps of a file, in the order of their numbers as texts.
pub(super) fn read(json: &[u8]) -> Result<Vec<Planes>> {
    let outlines: BTreeMap<String, OutlineWire> =
        serde_json::from_slice(json).map_err(|error| {
            let message = "these are no outlines of damage";
            Error::new(Code::Corrupt, message)
                .on_line(error.line() as u32)
                .caused_by(error)
        })?;
    Ok(outlines
        .values()
        .filter_map(|outline| filled(&outline.points))
        .collect())
}

/// The inside of an outline; `None` when there is none, or too much.
fn filled(points: &[PointWire]) -> Option<Planes> {
    let finite = points
        .iter()
        .all(|point| point.x.is_finite() && point.y.is_finite());
    if points.len() < 3 || !finite {
        return None;
    }
    let least = |of: fn(&PointWire) -> f32| points.iter().map(of).fold(f32::INFINITY, f32::min);
    let most = |of: fn(&PointWire) -> f32| points.iter().map(of).fold(f32::NEG_INFINITY, f32::max);
    let (x0, y0) = (least(|point| point.x), least(|point| point.y));
    let (across, down) = (most(|point| point.x) - x0, most(|point| point.y) - y0);
    if across.max(down) > LARGEST {
        return None;
    }
    // A pixel of room around, so that edges fade when the stamp is turned.
    let mut made = Planes::filled(1, down as usize + 3, across as usize + 3, 0.0);
    let width = made.width;
    for (line, y) in (0..made.height * LINES).map(|line| (line, (line as f32 + 0.5) / LINES as f32))
    {
        let row = &mut made.values[line / LINES * width..][..width];
        for pair in crossings(points, y - 1.0 + y0).chunks_exact(2) {
            cover(row, pair[0] - x0 + 1.0, pair[1] - x0 + 1.0);
        }
    }
    Some(made)
}

/// Where the outline crosses a line, from the left.
fn crossings(points: &[PointWire], y: f32) -> Vec<f32> {
    let next = points.iter().cycle().skip(1);
    let crossing = |(a, b): (&PointWire, &PointWire)| {
        let crosses = (a.y <= y) != (b.y <= y);
        crosses.then(|| a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x))
    };
    let mut found: Vec<f32> = points.iter().zip(next).filter_map(crossing).collect();
    found.sort_by(f32::total_cmp);
    found
}

/// Adds one line of a row from one place to another, parts of pixels as parts.
fn cover(row: &mut [f32], from: f32, to: f32) {
    let last = (to.ceil() as usize).min(row.len());
    for (x, out) in row.iter_mut().enumerate().take(last).skip(from as usize) {
        let inside = (to.min(x as f32 + 1.0) - from.max(x as f32)).max(0.0);
        *out = (*out + inside / LINES as f32).min(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outlines_are_filled() {
        let json =
            br#"{"7": {"points": [{"x": 100, "y": 50}, {"x": 108, "y": 50}, {"x": 108, "y": 56},
            {"x": 100, "y": 56}], "label": {"id": 1, "name": "Dust"}},
            "8": {"points": [{"x": 0, "y": 0}, {"x": 6, "y": 0}, {"x": 0, "y": 6}]},
            "9": {"points": [{"x": 0, "y": 0}, {"x": 9000, "y": 0}, {"x": 0, "y": 9000}]}}"#;
        let stamps = read(json).unwrap();
        let areas: Vec<f32> = stamps
            .iter()
            .map(|stamp| stamp.values.iter().sum())
            .collect();
        assert_eq!(areas.len(), 2);
        assert!(
            (areas[0] - 48.0).abs() < 1e-3 && (areas[1] - 18.0).abs() < 0.3,
            "{areas:?}"
        );
        assert_eq!((stamps[0].width, stamps[0].height), (11, 9));
        let error = read(b"{\"1\": {}}").unwrap_err();
        assert_eq!(error.code(), Code::Corrupt);
    }
}
