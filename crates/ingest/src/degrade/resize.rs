//! Another size, with the kernels of several programs.

use super::canvas::{Canvas, number, text};
use super::{Damage, Problems};
use crate::draw::Draw;
use crate::resample::{Kernel, imresize};

/// How samples between samples are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// The mean of the samples that a new one touches; PyTorch's `area`.
    Area,
    /// Straight lines between neighbours, not antialiased; PyTorch's `bilinear`.
    Bilinear,
    /// Keys's cubic with a = −¾, not antialiased; PyTorch's `bicubic`.
    Bicubic,
    /// Keys's cubic with a = −½, antialiased, columns first, rounded to 8 bits after each way: what
    /// MATLAB's `imresize` made of 8-bit pictures when the low resolutions of Set5, Set14 and others
    /// were made.
    Matlab,
    /// The nearest sample.
    Nearest,
}

/// What a new size is a multiple of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The size that the picture has.
    Current,
    /// The size that it had at the beginning.
    Original,
    /// The size that it will have at the end.
    Target,
}

/// The picture becomes larger, smaller, or stays, as a draw decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Resize {
    /// How often (of `up + down + keep` times) it becomes larger: by a factor from 1 to the end of
    /// the range.
    pub up: f32,
    /// How often it becomes smaller: by a factor from the beginning of the range to 1.
    pub down: f32,
    /// How often the factor is 1.
    pub keep: f32,
    /// The factors.
    pub range: (f32, f32),
    /// What the factor is applied to.
    pub base: Base,
    /// The kernels of which one is drawn.
    pub kernels: Vec<Interpolation>,
}

impl Resize {
    /// To the final size, as MATLAB's `imresize` does.
    pub fn matlab() -> Self {
        Self::to_target(vec![Interpolation::Matlab])
    }

    /// To the final size, by one of these kernels.
    pub fn to_target(kernels: Vec<Interpolation>) -> Self {
        Self {
            up: 0.0,
            down: 0.0,
            keep: 1.0,
            range: (1.0, 1.0),
            base: Base::Target,
            kernels,
        }
    }

    fn factor(&self, draw: &mut Draw) -> f32 {
        let choice = draw.unit() * (self.up + self.down + self.keep);
        let place = draw.unit();
        if choice < self.up {
            1.0 + (self.range.1 - 1.0) * place
        } else if choice < self.up + self.down {
            self.range.0 + (1.0 - self.range.0) * place
        } else {
            1.0
        }
    }
}

impl Default for Resize {
    /// To the final size, by the kernels of PyTorch.
    fn default() -> Self {
        Self::to_target(vec![
            Interpolation::Area,
            Interpolation::Bilinear,
            Interpolation::Bicubic,
        ])
    }
}

impl Damage for Resize {
    const NAME: &'static str = "resize";

    fn check(&self, problems: &mut Problems) {
        for (key, weight) in [("up", self.up), ("down", self.down), ("keep", self.keep)] {
            problems.number(key, weight, 0.0, 1e6);
        }
        if self.up + self.down + self.keep <= 0.0 {
            problems.add("keep", "it, `up` and `down` are all 0");
        }
        problems.range("range", self.range, 0.02, 8.0);
        problems.some("kernels", &self.kernels);
    }

    fn strengthen(&mut self, _: f32) {}

    fn apply(&self, canvas: &mut Canvas, draw: &mut Draw) -> fonds_core::Result<()> {
        let factor = self.factor(draw);
        let base = match self.base {
            Base::Current => canvas.size(),
            Base::Original => canvas.original,
            Base::Target => canvas.target,
        };
        let scaled = |length: usize| ((length as f32 * factor) as usize).max(1);
        let size = (scaled(base.0), scaled(base.1));
        let kernel = self.kernels[draw.below(self.kernels.len())];
        resize(canvas, size, kernel);
        canvas.note(
            Self::NAME,
            vec![
                ("factor", number(factor)),
                ("width", number(size.0 as f32)),
                ("height", number(size.1 as f32)),
                ("kernel", text(kernel.as_str())),
            ],
        );
        Ok(())
    }
}

impl Interpolation {
    /// The name, as recipes spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Area => "area",
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
            Self::Matlab => "matlab",
            Self::Nearest => "nearest",
        }
    }
}

pub(super) fn resize(canvas: &mut Canvas, size: (usize, usize), how: Interpolation) {
    let (kernel, antialias) = match how {
        Interpolation::Area => (Kernel::Area, false),
        Interpolation::Bilinear => (Kernel::Bilinear, false),
        Interpolation::Bicubic => (Kernel::Bicubic { a: -0.75 }, false),
        Interpolation::Nearest => (Kernel::Nearest, false),
        Interpolation::Matlab => {
            if size != canvas.size() {
                canvas.replace(imresize(&canvas.planes, size));
            }
            return;
        }
    };
    canvas.resize(size, kernel, antialias);
}
