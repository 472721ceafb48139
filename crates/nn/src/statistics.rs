//! Statistics over a whole picture, for networks that normalise by them and run on tiles.
//!
//! Instance normalisation divides by the mean and the variance of the whole picture. When the
//! picture is cut into tiles, each tile's own would give visible steps. A [`Book`] travels with an
//! activation: while one picture (a thumbnail) goes through, each normalising layer writes its
//! statistics down in turn ([`Book::collect`]); when tiles follow, each layer reads them in the same
//! order ([`Book::replay`]). That is exact for no network (statistics of a thumbnail are not those
//! of the picture) and without seams for all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fonds_core::{Code, Error, Result};

/// Mean and biased variance of each channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Variance of each channel, divided by the number of pixels.
    pub variance: Vec<f32>,
}

/// What one forward wrote down, in the order of its layers.
pub type Pages = Arc<Vec<Arc<Statistics>>>;

/// What normalising layers wrote down, or are to use, in the order in which they run.
#[derive(Debug)]
pub enum Book {
    /// Layers compute their own statistics and append them.
    Collect(Mutex<Vec<Arc<Statistics>>>),
    /// Layers use these instead of their own.
    Replay {
        /// In the order of the layers.
        pages: Pages,
        /// The next one.
        next: AtomicUsize,
    },
}

impl Book {
    /// An empty book to be filled by one forward of one picture.
    pub fn collect() -> Arc<Self> {
        Arc::new(Self::Collect(Mutex::new(Vec::new())))
    }

    /// What was written down so far.
    pub fn pages(&self) -> Pages {
        match self {
            Self::Collect(pages) => {
                let pages = pages.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::new(pages.clone())
            }
            Self::Replay { pages, .. } => Arc::clone(pages),
        }
    }

    /// A book to be read by one forward of one tile.
    pub fn replay(pages: &Pages) -> Arc<Self> {
        Arc::new(Self::Replay {
            pages: Arc::clone(pages),
            next: AtomicUsize::new(0),
        })
    }

    /// The statistics that the next layer is to use, when this book is to be read.
    pub(crate) fn next(&self, channels: usize) -> Result<Option<Arc<Statistics>>> {
        let Self::Replay { pages, next } = self else {
            return Ok(None);
        };
        let index = next.fetch_add(1, Ordering::Relaxed);
        match pages.get(index) {
            Some(page) if page.mean.len() == channels => Ok(Some(Arc::clone(page))),
            _ => {
                let message =
                    format!("the statistics book has no page {index} for {channels} channels");
                Err(Error::new(Code::Internal, message))
            }
        }
    }

    /// Notes a layer's statistics, when this book is to be filled.
    pub(crate) fn write(&self, statistics: impl FnOnce() -> Result<Statistics>) -> Result<()> {
        if let Self::Collect(pages) = self {
            let page = Arc::new(statistics()?);
            pages
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(page);
        }
        Ok(())
    }
}
