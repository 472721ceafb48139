//! Rows in parallel, in fixed bands, so that no result depends on the number of threads.

use std::ops::Range;

use rayon::prelude::*;

/// Rows that one task takes.
pub(crate) const BAND: usize = 32;

/// Changes rows in place; the function gets the row's number and its samples.
pub(crate) fn for_each_row<T: Send>(
    samples: &mut [T],
    row_len: usize,
    change: impl Fn(usize, &mut [T]) + Sync,
) {
    samples
        .par_chunks_mut(row_len * BAND)
        .enumerate()
        .for_each(|(band, rows)| {
            for (i, row) in rows.chunks_mut(row_len).enumerate() {
                change(band * BAND + i, row);
            }
        });
}

/// Changes bands of `rows` rows in place; the function gets the first row's number and the band.
pub(crate) fn for_each_band<T: Send>(
    samples: &mut [T],
    row_len: usize,
    rows: usize,
    change: impl Fn(usize, &mut [T]) + Sync,
) {
    samples
        .par_chunks_mut(row_len * rows)
        .enumerate()
        .for_each(|(band, samples)| change(band * rows, samples));
}

/// Computes something for each band of `rows` rows, in the order of the bands.
pub(crate) fn map_bands<R: Send>(
    height: usize,
    rows: usize,
    compute: impl Fn(Range<usize>) -> R + Sync,
) -> Vec<R> {
    (0..height.div_ceil(rows))
        .into_par_iter()
        .map(|band| compute(band * rows..height.min((band + 1) * rows)))
        .collect()
}

/// Counts, row by row in parallel, and adds up.
pub(crate) fn count_rows(height: usize, count: impl Fn(usize) -> usize + Sync) -> usize {
    map_bands(height, BAND, |rows| rows.map(&count).sum::<usize>())
        .into_iter()
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_once_and_in_order() {
        let mut samples = vec![0_usize; 3 * 101];
        for_each_row(&mut samples, 3, |y, row| row.fill(y + 1));
        assert!(samples.iter().enumerate().all(|(i, v)| *v == i / 3 + 1));
        let bands = map_bands(101, 10, |rows| rows);
        assert_eq!((bands.len(), bands[10].clone()), (11, 100..101));
        assert_eq!(count_rows(101, |y| y), 5050);
    }
}
