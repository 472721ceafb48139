//! Charts as figures that a template draws: bars of counts, and histograms of measures.

use serde::Serialize;

/// How many bars a histogram has.
const BINS: usize = 24;

/// One bar of counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Bar {
    /// What was counted.
    pub(super) label: String,
    /// How often.
    pub(super) count: u64,
    /// Its length as a share of the longest, in per cent.
    pub(super) percent: f64,
    /// The part of the page's address that shows what was counted.
    pub(super) filter: String,
    /// A word for its colour, or nothing.
    pub(super) kind: String,
}

/// How often each value of a measure was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Histogram {
    /// The measure's name in the sheet.
    pub(super) key: &'static str,
    /// What it is.
    pub(super) title: &'static str,
    /// The unit, or nothing.
    pub(super) unit: &'static str,
    /// What it means.
    pub(super) about: &'static str,
    /// How many pictures have a value.
    pub(super) count: u64,
    /// The value in the middle.
    pub(super) median: String,
    /// The bars, from low to high.
    pub(super) bins: Vec<Bin>,
    /// The values at the ends and between them.
    pub(super) ticks: Vec<String>,
}

/// One bar of a histogram.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Bin {
    /// From this value.
    pub(super) from: String,
    /// Up to this one.
    pub(super) to: String,
    /// How many.
    pub(super) count: u64,
    /// Its height, in per cent of the highest.
    pub(super) percent: f64,
}

/// What a histogram is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measure {
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) about: &'static str,
    /// Whether values lie so far apart that each bar is a constant factor wide.
    pub(super) logarithmic: bool,
}

/// Bars in the order of their counts, the most frequent first.
pub(super) fn bars(
    counts: impl IntoIterator<Item = (String, u64)>,
    filter: impl Fn(&str) -> String,
) -> Vec<Bar> {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let most = counts.first().map_or(1, |(_, count)| *count).max(1);
    let bar = |(label, count): (String, u64)| Bar {
        filter: filter(&label),
        percent: share(count, most),
        label,
        count,
        kind: String::new(),
    };
    counts.into_iter().map(bar).collect()
}

/// A share in per cent, to a tenth.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    (part as f64 / whole.max(1) as f64 * 1e3).round() / 10.0
}

/// The histogram of these values; `None` when there are fewer than two, or all are equal.
pub(super) fn histogram(measure: &Measure, mut values: Vec<f64>) -> Option<Histogram> {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let scale = Scale {
        logarithmic: measure.logarithmic,
    };
    // A few values far out would squeeze all others into one bar: they go into the last one.
    let last = values.len().saturating_sub(1);
    let near = if measure.logarithmic { last / 50 } else { 0 };
    let (low, high) = (
        scale.place(*values.get(near)?),
        scale.place(*values.get(last * 99 / 100)?),
    );
    if high <= low {
        return None;
    }
    let width = (high - low) / BINS as f64;
    let mut counts = [0_u64; BINS];
    for value in &values {
        let place = ((scale.place(*value) - low).max(0.0) / width) as usize;
        counts[place.min(BINS - 1)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(1);
    let edge = |index: usize| scale.value(low + width * index as f64);
    let last = *values.last()?;
    let bins = counts.iter().enumerate().map(|(index, &count)| Bin {
        from: number(if index == 0 { values[0] } else { edge(index) }),
        to: number(if index + 1 == BINS {
            last
        } else {
            edge(index + 1)
        }),
        count,
        percent: share(count, most),
    });
    Some(Histogram {
        key: measure.key,
        title: measure.title,
        unit: measure.unit,
        about: measure.about,
        count: values.len() as u64,
        median: number(values[values.len() / 2]),
        bins: bins.collect(),
        ticks: [0, BINS / 2, BINS]
            .map(|index| number(edge(index)))
            .to_vec(),
    })
}

struct Scale {
    logarithmic: bool,
}

impl Scale {
    fn place(&self, value: f64) -> f64 {
        if self.logarithmic {
            value.max(1e-3).log10()
        } else {
            value
        }
    }

    fn value(&self, place: f64) -> f64 {
        if self.logarithmic {
            10_f64.powf(place)
        } else {
            place
        }
    }
}

/// A number with as many digits as a reader wants: three that say something.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    let text = if size >= 100.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    };
    match text.split_once('.') {
        Some((whole, fraction)) => {
            let fraction = fraction.trim_end_matches('0');
            if fraction.is_empty() {
                whole.to_owned()
            } else {
                format!("{whole}.{fraction}")
            }
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEASURE: Measure = Measure {
        key: "noise",
        title: "Noise",
        unit: "",
        about: "",
        logarithmic: false,
    };

    #[test]
    fn every_value_is_in_one_bar() {
        let values: Vec<f64> = (0..1000).map(|i| f64::from(i) / 10.0).collect();
        let found = histogram(&MEASURE, values).unwrap();
        let counts: Vec<u64> = found.bins.iter().map(|bin| bin.count).collect();
        assert_eq!(counts.iter().sum::<u64>(), 1000);
        assert!(
            counts[..BINS - 1]
                .iter()
                .all(|count| (40..=43).contains(count)),
            "{counts:?}"
        );
        assert_eq!(found.bins[BINS - 1].to, "99.9");
        assert_eq!(found.median, "50");
        let logarithmic = Measure {
            logarithmic: true,
            ..MEASURE
        };
        let values: Vec<f64> = (0..240)
            .map(|i| 10_f64.powf(f64::from(i) / 100.0))
            .collect();
        let found = histogram(&logarithmic, values).unwrap();
        assert!(
            found.bins.iter().all(|bin| (8..=15).contains(&bin.count)),
            "{found:?}"
        );
    }

    #[test]
    fn one_far_value_does_not_hide_the_others() {
        let mut values: Vec<f64> = (0..300).map(f64::from).collect();
        values.push(1e9);
        let found = histogram(&MEASURE, values).unwrap();
        assert!(found.bins[0].count < 20);
        assert_eq!(found.bins.iter().map(|bin| bin.count).sum::<u64>(), 301);
    }

    #[test]
    fn nothing_to_draw() {
        assert!(histogram(&MEASURE, vec![]).is_none());
        assert!(histogram(&MEASURE, vec![1.0, 1.0, f64::NAN]).is_none());
    }

    #[test]
    fn bars_by_count() {
        let counts = [("a", 1), ("b", 4), ("c", 4)].map(|(name, count)| (name.to_owned(), count));
        let bars = bars(counts, |label| format!("x={label}"));
        let labels: Vec<_> = bars.iter().map(|bar| bar.label.as_str()).collect();
        assert_eq!(labels, ["b", "c", "a"]);
        assert_eq!((bars[0].percent, bars[2].percent), (100.0, 25.0));
        assert_eq!(bars[2].filter, "x=a");
    }

    #[test]
    fn numbers_for_people() {
        for (value, text) in [
            (0.0, "0"),
            (0.1234, "0.123"),
            (1.5, "1.5"),
            (12.34, "12.3"),
            (1234.5, "1234"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
