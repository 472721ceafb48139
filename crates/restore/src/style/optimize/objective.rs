//! What is minimised: `α · content + β · style + γ · variation + δ · excess`.
//!
//! Gatys, Ecker, Bethge, *Image Style Transfer Using Convolutional Neural Networks* (2016). The
//! content is what layers say of each place, the style what they say on the whole: products of
//! channels (Gram matrices), or means and deviations (Li et al. 2017; Huang and Belongie 2017). A
//! mixture of styles has the mean of their statistics as its target: the gradient is that of the
//! weighted sum of the losses. A style for a region compares statistics over that region alone
//! (Gatys et al., *Controlling Perceptual Factors in Neural Style Transfer*, 2017).

use candle_core::{DType, Device, Tensor};
use fonds_core::{Code, Error, Result};
use fonds_nn::Act;
use fonds_nn::error::TensorResult;
use fonds_nn::features::Features;
use fonds_nn::loss::{PixelLoss, gram, total_variation};

use super::super::extractor::{Extractor, Layer};

/// What of a layer is its style.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Statistics {
    /// Products of channels with each other: Gram matrices.
    #[default]
    Gram,
    /// Means and deviations of channels: less of the fabric, more of the colours.
    Moments,
}

/// How the parts of the loss count.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// `α`: what the picture shows.
    pub alpha: f64,
    /// `β`: the style.
    pub beta: f64,
    /// `γ`: total variation, against speckles.
    pub variation: f64,
    /// `δ`: the mean squared excess over 0 to 1, against colours that no picture can hold.
    pub range: f64,
    /// The layers that say what is shown; the extractor's own choice when empty.
    pub content_layers: Vec<Layer>,
    /// The layers whose statistics are the style; the extractor's own choice when empty.
    pub style_layers: Vec<Layer>,
    /// What of a layer is its style.
    pub statistics: Statistics,
    /// Whether each layer's loss is divided by the mean square of its target, so that the same
    /// weights serve any extractor and any layer. Without it losses are those of the papers.
    pub balanced: bool,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            alpha: 1.0,
            beta: 3.0,
            variation: 1.0,
            range: 30.0,
            content_layers: Vec::new(),
            style_layers: Vec::new(),
            statistics: Statistics::default(),
            balanced: true,
        }
    }
}

impl Weights {
    /// That there is something to minimise.
    ///
    /// # Errors
    /// `invalid_request` that names what is out of range.
    pub fn validate(&self) -> Result<()> {
        let parts = [
            ("alpha", self.alpha),
            ("beta", self.beta),
            ("variation", self.variation),
            ("range", self.range),
        ];
        let layers = self.content_layers.iter().chain(&self.style_layers);
        let layers = layers.map(|layer| (layer.name.as_str(), layer.weight));
        for (name, weight) in parts.into_iter().chain(layers) {
            if !(weight >= 0.0 && weight.is_finite()) {
                let message = format!("the weight of `{name}` is {weight}");
                let error = Error::new(Code::InvalidRequest, message);
                return Err(error.hint("weights are 0 or more"));
            }
        }
        if self.alpha == 0.0 && self.beta == 0.0 {
            let message = "`alpha` and `beta` are both 0: there is neither content nor style";
            let error = Error::new(Code::InvalidRequest, message);
            return Err(error.hint("give at least one of them a weight"));
        }
        Ok(())
    }
}

/// A style as the extractor sees it.
#[derive(Debug, Clone)]
pub struct StyleTensors {
    /// The same picture `[1, 3, h, w]` from 0 to 1 at one or several scales.
    pub pictures: Vec<Tensor>,
    /// Its share among the styles of the same region.
    pub weight: f64,
    /// Where it holds: `[1, 1, h, w]` from 0 to 1 at the size of the content. Styles without a
    /// mask are one mixture, which holds where no mask does.
    pub mask: Option<Tensor>,
}

/// The parts of a loss before their weights, and the weighted sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Losses {
    /// Of the content.
    pub content: f64,
    /// Of the style.
    pub style: f64,
    /// Total variation.
    pub variation: f64,
    /// The mean squared excess over 0 to 1.
    pub excess: f64,
    /// What is minimised.
    pub total: f64,
}

/// A loss of pictures of one size.
#[derive(Debug)]
pub struct Objective {
    extractor: Extractor,
    weights: Weights,
    /// Names of the layers that are looked at.
    names: Vec<String>,
    content: Vec<Part>,
    style: Vec<Region>,
}

/// A layer's target: the place of the layer among the names, its weight, and what is wanted.
#[derive(Debug)]
struct Part {
    layer: usize,
    weight: f64,
    target: Tensor,
}

/// The style of a region.
#[derive(Debug)]
struct Region {
    weight: f64,
    parts: Vec<(Part, Option<Tensor>)>,
}

impl Objective {
    /// A loss for pictures of the size of `content`, `[1, 3, h, w]` from 0 to 1.
    ///
    /// # Errors
    /// `invalid_request` when a weight is out of range, there is no layer of a name, there is no
    /// style although `β` is not 0, or a mask is empty or of another size; `oom`.
    pub fn new(
        extractor: &Extractor,
        content: &Tensor,
        styles: &[StyleTensors],
        weights: Weights,
    ) -> Result<Self> {
        weights.validate()?;
        if weights.beta > 0.0 && styles.is_empty() {
            let error = Error::new(Code::InvalidRequest, "there is no style picture");
            return Err(error.hint("give one, or `beta = 0`"));
        }
        let chosen = |given: &[Layer], own: &[Layer]| {
            let layers = if given.is_empty() { own } else { given };
            layers.to_vec()
        };
        let content_layers = chosen(&weights.content_layers, extractor.content_layers());
        let style_layers = chosen(&weights.style_layers, extractor.style_layers());
        let mut objective = Self {
            extractor: extractor.clone(),
            names: Vec::new(),
            content: Vec::new(),
            style: Vec::new(),
            weights,
        };
        if objective.weights.alpha > 0.0 {
            objective.aim_at_content(content, &content_layers)?;
        }
        if objective.weights.beta > 0.0 {
            let shares = shares(styles, content)?;
            for (mask, styles) in shares {
                objective.aim_at_style(content, mask.as_ref(), &styles, &style_layers)?;
            }
        }
        Ok(objective)
    }

    fn aim_at_content(&mut self, content: &Tensor, layers: &[Layer]) -> Result<()> {
        let seen = self.see(content, layers)?;
        for (layer, target) in layers.iter().zip(seen) {
            let target = target.detach();
            let weight = layer.weight / self.unit(&target)?;
            let layer = self.index(&layer.name);
            self.content.push(Part {
                layer,
                weight,
                target,
            });
        }
        Ok(())
    }

    fn aim_at_style(
        &mut self,
        content: &Tensor,
        mask: Option<&Tensor>,
        styles: &[&StyleTensors],
        layers: &[Layer],
    ) -> Result<()> {
        let total: f64 = styles.iter().map(|style| style.weight).sum();
        let mut targets: Vec<Option<Tensor>> = vec![None; layers.len()];
        for style in styles {
            let share = style.weight / total / style.pictures.len() as f64;
            for picture in &style.pictures {
                let seen = self.see(picture, layers)?;
                for (sum, features) in targets.iter_mut().zip(seen) {
                    let own = (self.statistics(&features, None)? * share).in_network()?;
                    *sum = Some(match sum.take() {
                        Some(sum) => (sum + own).in_network()?,
                        None => own,
                    });
                }
            }
        }
        // What masks are at a layer's size is found by looking at the content once.
        let sizes = match mask {
            Some(_) => self.see(content, layers)?,
            None => Vec::new(),
        };
        let mut parts = Vec::new();
        for (index, (layer, target)) in layers.iter().zip(targets).enumerate() {
            let Some(target) = target.map(|target| target.detach()) else {
                continue;
            };
            let mask = match (mask, sizes.get(index)) {
                (Some(mask), Some(features)) => Some(reduced(mask, features)?),
                _ => None,
            };
            let weight = layer.weight / self.unit(&target)?;
            let layer = self.index(&layer.name);
            let part = Part {
                layer,
                weight,
                target,
            };
            parts.push((part, mask));
        }
        let weight = if mask.is_some() && styles.iter().all(|style| style.mask.is_some()) {
            total
        } else {
            1.0
        };
        self.style.push(Region { weight, parts });
        Ok(())
    }

    /// What a target's loss is divided by.
    fn unit(&self, target: &Tensor) -> Result<f64> {
        if !self.weights.balanced {
            return Ok(1.0);
        }
        let square = number(&target.sqr().in_network()?.mean_all().in_network()?)?;
        Ok(square.max(1e-12))
    }

    fn index(&mut self, name: &str) -> usize {
        if let Some(index) = self.names.iter().position(|known| known == name) {
            return index;
        }
        self.names.push(name.to_owned());
        self.names.len() - 1
    }

    fn see(&self, picture: &Tensor, layers: &[Layer]) -> Result<Vec<Tensor>> {
        let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
        self.see_names(picture, &names)
    }

    fn see_names(&self, picture: &Tensor, names: &[&str]) -> Result<Vec<Tensor>> {
        let picture = Act::from_tensor(picture.clone())?;
        let seen = self.extractor.features(&picture, names)?;
        seen.iter().map(Act::to_tensor).collect()
    }

    /// The loss of a picture, to be differentiated, and its parts.
    ///
    /// # Errors
    /// `model_error` when the picture has another size, `oom`.
    pub fn of(&self, picture: &Tensor) -> Result<(Tensor, Losses)> {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let seen = self.see_names(picture, &names)?;
        let mut content = Vec::new();
        for part in &self.content {
            let loss = PixelLoss::Squared.between(&seen[part.layer], &part.target)?;
            content.push((part.weight, loss));
        }
        let mut style = Vec::new();
        for region in &self.style {
            for (part, mask) in &region.parts {
                let own = self.statistics(&seen[part.layer], mask.as_ref())?;
                let loss = PixelLoss::Squared.between(&own, &part.target)?;
                style.push((part.weight * region.weight, loss));
            }
        }
        let mut variation = Vec::new();
        if self.weights.variation > 0.0 {
            variation.push((1.0, total_variation(picture)?));
        }
        let mut excess = Vec::new();
        if self.weights.range > 0.0 {
            excess.push((1.0, beyond(picture)?));
        }
        let Weights {
            alpha,
            beta,
            variation: gamma,
            range,
            ..
        } = self.weights;
        let mut values = [0.0; 4];
        let mut sum: Option<Tensor> = None;
        let parts = [
            (alpha, content),
            (beta, style),
            (gamma, variation),
            (range, excess),
        ];
        for (value, (factor, losses)) in values.iter_mut().zip(parts) {
            let Some(loss) = fonds_nn::loss::weighted(&losses)? else {
                continue;
            };
            *value = number(&loss)?;
            let part = (loss * factor).in_network()?;
            sum = Some(match sum {
                Some(sum) => (sum + part).in_network()?,
                None => part,
            });
        }
        let Some(sum) = sum else {
            let message = "no layer of the loss has a weight";
            return Err(Error::new(Code::InvalidRequest, message));
        };
        let [content, style, variation, excess] = values;
        let losses = Losses {
            content,
            style,
            variation,
            excess,
            total: alpha * content + beta * style + gamma * variation + range * excess,
        };
        Ok((sum, losses))
    }

    fn statistics(&self, features: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        match self.weights.statistics {
            Statistics::Gram => products(features, mask),
            Statistics::Moments => moments(features, mask),
        }
    }
}

/// Styles by the region in which they hold.
type Shares<'a> = Vec<(Option<Tensor>, Vec<&'a StyleTensors>)>;

fn shares<'a>(styles: &'a [StyleTensors], content: &Tensor) -> Result<Shares<'a>> {
    let (_, _, height, width) = content.dims4().in_network()?;
    let mut rest: Option<Tensor> = None;
    let mut found: Shares<'a> = Vec::new();
    for style in styles {
        if !(style.weight > 0.0 && style.weight.is_finite()) || style.pictures.is_empty() {
            let message = format!("a style with the weight {}", style.weight);
            let error = Error::new(Code::InvalidRequest, message);
            return Err(error.hint("weights of styles are above 0"));
        }
        let Some(mask) = &style.mask else {
            continue;
        };
        let (_, _, rows, columns) = mask.dims4().in_network()?;
        if (rows, columns) != (height, width) {
            let message =
                format!("a mask of {columns} × {rows} pixels for a picture of {width} × {height}");
            return Err(Error::new(Code::InvalidRequest, message));
        }
        let left = match rest.take() {
            Some(rest) => rest,
            None => mask.ones_like().in_network()?,
        };
        rest = Some((left - mask).in_network()?);
        found.push((Some(mask.clone()), vec![style]));
    }
    let everywhere: Vec<&StyleTensors> =
        styles.iter().filter(|style| style.mask.is_none()).collect();
    if !everywhere.is_empty() {
        let rest = match rest {
            Some(rest) => Some(rest.clamp(0.0, 1.0).in_network()?),
            None => None,
        };
        // Masks that leave nothing leave nothing to these styles.
        if rest.as_ref().map_or(Ok(1.0), share)? > 1e-4 {
            found.push((rest, everywhere));
        }
    }
    for (mask, _) in &found {
        if mask.as_ref().map_or(Ok(1.0), share)? <= 1e-6 {
            let message = "a mask is black everywhere: its style holds nowhere";
            return Err(Error::new(Code::InvalidRequest, message));
        }
    }
    Ok(found)
}

/// The mean of a mask.
fn share(mask: &Tensor) -> Result<f64> {
    number(&mask.mean_all().in_network()?)
}

/// The mean squared excess of values over 0 to 1.
fn beyond(picture: &Tensor) -> Result<Tensor> {
    let excess = || {
        let above = (picture - 1.0)?.relu()?;
        let below = picture.neg()?.relu()?;
        (above.sqr()? + below.sqr()?)?.mean_all()
    };
    excess().in_network()
}

/// Gram matrices, over a region where there is a mask.
fn products(features: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    let Some(mask) = mask else {
        return gram(features);
    };
    let pixels = mask.elem_count() as f64;
    let squares = mask.sqr().in_network()?.sum_all().in_network()?;
    let squares = number(&squares)?.max(1e-6);
    let masked = features.broadcast_mul(mask).in_network()?;
    (gram(&masked)? * (pixels / squares)).in_network()
}

/// Means and deviations of channels, `[1, c, h, w]` → `[2, c]`, over a region where there is a mask.
fn moments(features: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    /// Added to variances, so that the root has a gradient; `AdaIN`'s.
    const EPSILON: f64 = 1e-5;
    let moments = || {
        let (_, channels, height, width) = features.dims4()?;
        let flat = features.reshape((channels, height * width))?;
        let share = if let Some(mask) = mask {
            let mask = mask.reshape((1, height * width))?;
            mask.broadcast_div(&mask.sum_keepdim(1)?)?
        } else {
            let each = 1.0 / (height * width) as f64;
            Tensor::ones((1, height * width), flat.dtype(), flat.device())?.affine(each, 0.0)?
        };
        let mean = flat.broadcast_mul(&share)?.sum_keepdim(1)?;
        let squares = flat.broadcast_sub(&mean)?.sqr()?;
        let variance = squares.broadcast_mul(&share)?.sum_keepdim(1)?;
        Tensor::cat(&[mean, (variance + EPSILON)?.sqrt()?], 1)?
            .t()?
            .contiguous()
    };
    moments().in_network()
}

/// A mask at the size of a layer: the mean over the pixels that each of the layer's covers.
fn reduced(mask: &Tensor, features: &Tensor) -> Result<Tensor> {
    let (_, _, height, width) = mask.dims4().in_network()?;
    let (_, _, rows, columns) = features.dims4().in_network()?;
    let values: Vec<f32> = mask.flatten_all().in_network()?.to_vec1().in_network()?;
    let span = |index: usize, of: usize, size: usize| {
        let start = (index * size / of).min(size - 1);
        start..((index + 1) * size).div_ceil(of).clamp(start + 1, size)
    };
    let mut small = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        for column in 0..columns {
            let (down, across) = (span(row, rows, height), span(column, columns, width));
            let count = (down.len() * across.len()) as f32;
            let sum: f32 = down
                .map(|y| values[y * width..][across.clone()].iter().sum::<f32>())
                .sum();
            small.push(sum / count);
        }
    }
    let small = Tensor::from_vec(small, (1, 1, rows, columns), &Device::Cpu).in_network()?;
    small.to_device(features.device()).in_network()
}

fn number(loss: &Tensor) -> Result<f64> {
    loss.to_dtype(DType::F64)
        .in_network()?
        .to_scalar()
        .in_network()
}
