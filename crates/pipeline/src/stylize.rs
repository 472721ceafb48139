//! Style transfer as a pipeline and the command line ask for it: files read, networks recognised, and
//! one way to apply them.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use fonds_catalog::provenance::{ActKind, digital_source_type};
use fonds_core::{Change, Code, Digest, Error, Limits, Outcome, PixelFormat, Raster, Result, Seed};
use fonds_image::decode::Document;
use fonds_image::facts::Metadata;
use fonds_image::metadata;
use fonds_image::metadata::label::{DerivedFrom, HistoryEvent, Label};
use fonds_nn::backend::Backend;
use fonds_nn::weights::Checkpoint;
use fonds_nn::{gradient, load};
use fonds_restore::style::adain::{self, Decoder, Encoder, StyleTransfer};
use fonds_restore::style::extractor::{Extractor, ExtractorKind, Layer};
use fonds_restore::style::optimize::{self, Progress, Settings, Watching};
use fonds_restore::style::palette::{KeepColors, Style, with_luma_of};
use fonds_restore::style::transfer::{Transfer, TransferSettings};
use fonds_restore::tasks::TaskSettings;
use fonds_restore::zoo::Architecture;
use serde_json::{Value, json};

use crate::model::allowance;
use crate::networks::{Networks, of_weights};
use crate::picture::Named;
use crate::step::{Act, Cost, ModelInfo, RunsOn, Step, StepContext};
use crate::steps::{Asked, name_of};

/// How a style is given to a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StylizeMethod {
    /// By optimisation (Gatys et al. 2016).
    Gatys,
    /// By a network that has learned one style.
    Feedforward,
    /// By `AdaIN`: any style in one pass.
    Adain,
}

/// What is asked for. Paths are relative to the folder of the networks.
#[derive(Debug, Clone)]
pub struct Stylize {
    /// How.
    pub method: StylizeMethod,
    /// Style pictures, each with its weight: `FILE` or `FILE:0.7`.
    pub styles: Vec<String>,
    /// A mask for each style, or nothing for none; shorter lists leave the last styles without.
    pub masks: Vec<String>,
    /// Scales at which each style is looked at.
    pub scales: Vec<f64>,
    /// The weights: an extractor, a style network, or the encoder.
    pub model: Option<String>,
    /// The decoder that belongs to the encoder.
    pub decoder: Option<String>,
    /// Layers of the content with their weights: `LAYER` or `LAYER:0.5`.
    pub content_layers: Vec<String>,
    /// Layers of the style.
    pub style_layers: Vec<String>,
    /// Settings of the optimisation; layers, kept colours and gray are taken from here too, for all
    /// methods.
    pub settings: Settings,
    /// Share of the style for the methods of one pass, 0 to 1.
    pub strength: f64,
    /// The longest side at which styles are looked at by `AdaIN`.
    pub style_size: u32,
    /// How a picture is cut by the methods of one pass.
    pub tiles: fonds_nn::tile::TileOptions,
}

impl Default for Stylize {
    fn default() -> Self {
        Self {
            method: StylizeMethod::Gatys,
            styles: Vec::new(),
            masks: Vec::new(),
            scales: vec![1.0],
            model: None,
            decoder: None,
            content_layers: Vec::new(),
            style_layers: Vec::new(),
            settings: Settings::default(),
            strength: 1.0,
            style_size: 512,
            tiles: fonds_nn::tile::TileOptions::default(),
        }
    }
}

/// Which key of what was asked for is at fault.
pub(crate) type Fault = (&'static str, Error);

/// What gives pictures a style.
#[derive(Debug)]
pub struct Stylist {
    networks: Arc<Networks>,
    settings: Settings,
    info: Option<ModelInfo>,
    /// Figures that decide the result beside the keys: digests of what was read.
    record: Value,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Gatys {
        kind: ExtractorKind,
        weights: Checkpoint,
        styles: Vec<NamedStyle>,
        built: OnceLock<(Extractor, Backend, Vec<Style>)>,
    },
    Adain {
        encoder: Checkpoint,
        decoder: Checkpoint,
        styles: Vec<NamedStyle>,
        settings: TransferSettings,
        built: OnceLock<Transfer>,
    },
    Network(Box<dyn Step>),
}

/// A style whose pixels are not decoded yet.
#[derive(Debug)]
struct NamedStyle {
    picture: Named,
    mask: Option<Named>,
    weight: f64,
    scales: Vec<f64>,
}

impl NamedStyle {
    fn decode(&self) -> Result<Style> {
        Ok(Style {
            picture: self.picture.decode()?,
            weight: self.weight,
            scales: self.scales.clone(),
            mask: self.mask.as_ref().map(Named::decode).transpose()?,
        })
    }
}

impl Stylize {
    /// Reads and checks all files that are named.
    ///
    /// # Errors
    /// `invalid_request` for what is out of range, missing or no picture, `model_error` for weights
    /// that are none or of another kind.
    pub fn prepare(self, networks: &Arc<Networks>) -> Result<Stylist> {
        self.stylist(networks).map_err(|(_, error)| error)
    }

    pub(crate) fn stylist(mut self, networks: &Arc<Networks>) -> Result<Stylist, Fault> {
        let at = |key| move |error| (key, error);
        let mut settings = std::mem::take(&mut self.settings);
        settings.weights.content_layers = layers(&self.content_layers);
        settings.weights.style_layers = layers(&self.style_layers);
        settings.validate().map_err(at("method"))?;
        let Some(model) = self.model.clone() else {
            return Err(("model", no_model(self.method)));
        };
        if self.method == StylizeMethod::Feedforward {
            return self.feedforward(networks, settings, model);
        }
        let (styles, digests) = self.styles(networks)?;
        let checkpoint = networks.read(&model, None).map_err(at("model"))?;
        let mut record = json!({
            "model_sha256": checkpoint.sha256.to_string(),
            "style_sha256": digests,
        });
        let (work, name) = if self.method == StylizeMethod::Gatys {
            let kind = ExtractorKind::recognize(&checkpoint.tensors)
                .map_err(|error| ("model", of_weights(&model, &error)))?;
            check_layers(&kind, &settings)?;
            let name = kind.name();
            let work = Work::Gatys {
                kind,
                weights: checkpoint.clone(),
                styles,
                built: OnceLock::new(),
            };
            (work, name)
        } else {
            let Some(decoder) = &self.decoder else {
                let message = "`adain` takes an encoder and a decoder, and `decoder` is missing";
                return Err(("model", Error::new(Code::InvalidRequest, message)));
            };
            let wrong = |file: &str, part: &str| {
                let message = format!("the weights `{file}` are no {part} of AdaIN");
                Error::new(Code::ModelError, message)
                    .hint("give `model` the encoder, `vgg_normalised`, and `decoder` the decoder")
            };
            if !adain::is_encoder(&checkpoint.tensors) {
                return Err(("model", wrong(&model, "encoder")));
            }
            let second = networks.read(decoder, None).map_err(at("decoder"))?;
            if !adain::is_decoder(&second.tensors) {
                return Err(("decoder", wrong(decoder, "decoder")));
            }
            record["decoder_sha256"] = json!(second.sha256.to_string());
            let transfer = TransferSettings {
                alpha: self.strength as f32,
                style_size: self.style_size,
                keep_colors: settings.keep_colors,
                color_on_gray: settings.color_on_gray,
                tiles: self.tiles,
            };
            transfer.validate().map_err(at("method"))?;
            let work = Work::Adain {
                encoder: checkpoint.clone(),
                decoder: second,
                styles,
                settings: transfer,
                built: OnceLock::new(),
            };
            (work, "AdaIN")
        };
        let says = |keys: &[&str]| {
            let found = keys.iter().find_map(|key| checkpoint.metadata.get(*key));
            found.cloned().unwrap_or_else(|| "unknown".to_owned())
        };
        let info = ModelInfo {
            name: name_of(&model),
            version: name.to_owned(),
            sha256: checkpoint.sha256.to_string(),
            licence: says(&["modelspec.license", "license", "licence"]),
            training_data: "unknown".to_owned(),
        };
        Ok(Stylist {
            networks: Arc::clone(networks),
            settings,
            info: Some(info),
            record,
            work,
        })
    }

    fn feedforward(
        self,
        networks: &Arc<Networks>,
        settings: Settings,
        model: String,
    ) -> Result<Stylist, Fault> {
        if !self.styles.is_empty() {
            let message = "a network of method `feedforward` has learned its style";
            let error = Error::new(Code::InvalidRequest, message);
            return Err((
                "styles",
                error.hint("leave `styles` out, or use method `gatys` or `adain`"),
            ));
        }
        let asked = Asked {
            operation: "stylize",
            model: Some(model),
            settings: TaskSettings {
                strength: self.strength as f32,
                color_on_gray: settings.color_on_gray,
                tiles: self.tiles,
                ..TaskSettings::default()
            },
            accepts: Some(knows_a_style),
            generative: Some(true),
            parameters: json!({}),
            ..Asked::default()
        };
        let step = asked.step(networks).map_err(|error| ("model", error))?;
        let info = step.model();
        let sha256 = info.as_ref().map(|info| info.sha256.clone());
        Ok(Stylist {
            networks: Arc::clone(networks),
            settings,
            info,
            record: json!({ "model_sha256": sha256 }),
            work: Work::Network(step),
        })
    }

    fn styles(&self, networks: &Networks) -> Result<(Vec<NamedStyle>, Vec<String>), Fault> {
        if self.styles.is_empty()
            && (self.method == StylizeMethod::Adain || self.settings.weights.beta > 0.0)
        {
            let error = Error::new(Code::InvalidRequest, "`stylize` names no style");
            return Err((
                "styles",
                error.hint("give pictures: styles = [\"print.jpg\", \"other.jpg:0.5\"]"),
            ));
        }
        if self.masks.len() > self.styles.len() {
            let message = format!(
                "{} masks for {} styles",
                self.masks.len(),
                self.styles.len()
            );
            return Err(("masks", Error::new(Code::InvalidRequest, message)));
        }
        let folder = networks.path("");
        let mut styles = Vec::new();
        let mut digests = Vec::new();
        for (index, text) in self.styles.iter().enumerate() {
            let (file, weight) = with_weight(text);
            let picture = Named::open(&folder, "style", file).map_err(|error| ("styles", error))?;
            digests.push(picture.digest.to_string());
            let mask = match self.masks.get(index).filter(|file| !file.is_empty()) {
                Some(file) => {
                    let mask =
                        Named::open(&folder, "mask", file).map_err(|error| ("masks", error))?;
                    digests.push(mask.digest.to_string());
                    Some(mask)
                }
                None => None,
            };
            if !(weight > 0.0 && weight.is_finite()) {
                let message = format!("the style `{file}` has the weight {weight}");
                let error = Error::new(Code::InvalidRequest, message);
                return Err(("styles", error.hint("weights are above 0")));
            }
            let scales = self.scales.clone();
            if scales.is_empty() || scales.iter().any(|scale| !(0.05..=4.0).contains(scale)) {
                let message = format!("`scales` are {scales:?}, allowed is 0.05 to 4");
                return Err(("scales", Error::new(Code::InvalidRequest, message)));
            }
            styles.push(NamedStyle {
                picture,
                mask,
                weight,
                scales,
            });
        }
        Ok((styles, digests))
    }
}

/// `NAME:0.7` as a name and a weight; 1 where there is none.
fn with_weight(text: &str) -> (&str, f64) {
    let split = text.rsplit_once(':');
    let parsed = split.and_then(|(name, weight)| Some((name, weight.parse().ok()?)));
    parsed.unwrap_or((text, 1.0))
}

fn layers(texts: &[String]) -> Vec<Layer> {
    let layer = |text: &String| {
        let (name, weight) = with_weight(text);
        Layer {
            name: name.to_owned(),
            weight,
        }
    };
    texts.iter().map(layer).collect()
}

fn check_layers(kind: &ExtractorKind, settings: &Settings) -> Result<(), Fault> {
    let known = kind.layers().map_err(|error| ("model", error))?;
    let weights = &settings.weights;
    for (key, layers) in [
        ("content_layers", &weights.content_layers),
        ("style_layers", &weights.style_layers),
    ] {
        for layer in layers {
            if !known.contains(&layer.name) {
                let message = format!("{} has no layer `{}`", kind.name(), layer.name);
                let error = Error::new(Code::InvalidRequest, message);
                return Err((
                    key,
                    error.hint(format!("its layers are {}", known.join(", "))),
                ));
            }
        }
    }
    Ok(())
}

fn no_model(method: StylizeMethod) -> Error {
    let (what, hint) = match method {
        StylizeMethod::Gatys => (
            "the network that looks at pictures",
            "VGG-19, VGG-16 or SqueezeNet, as torchvision publishes them",
        ),
        StylizeMethod::Feedforward => ("the network that knows a style", "a TransformerNet"),
        StylizeMethod::Adain => (
            "the encoder",
            "`vgg_normalised`, and `decoder` for the way back",
        ),
    };
    Error::new(
        Code::InvalidRequest,
        format!("`stylize` names no `model`: {what}"),
    )
    .hint(format!("give {hint}"))
}

/// Whether a network gives pictures one style.
fn knows_a_style(architecture: &Architecture) -> Result<()> {
    match architecture {
        Architecture::TransformerNet(_) | Architecture::Engstrom(_) => Ok(()),
        _ => {
            let message = "the weights are those of no network that knows a style";
            let error = Error::new(Code::ModelError, message);
            Err(error.hint("use run.network for it; `fonds model inspect FILE` says what it is"))
        }
    }
}

impl Stylist {
    /// The digests of all that was read, for the record.
    pub(crate) fn record(&self) -> &Value {
        &self.record
    }

    /// The picture in the style. `watch` sees each iteration of an optimisation.
    ///
    /// # Errors
    /// `invalid_request` when a mask is of another size than the picture, `oom`, and those of `watch`.
    pub fn apply(
        &self,
        raster: &Raster,
        context: &StepContext<'_>,
        watch: &mut Watching<'_>,
    ) -> Result<Outcome> {
        self.prepare()?;
        if let Work::Network(step) = &self.work {
            let made = step.apply(raster.clone(), context)?;
            let colors = made.raster.format().color_channels() == 3;
            if self.settings.keep_colors == KeepColors::No || !colors {
                return Ok(made);
            }
            return Ok(Outcome {
                raster: with_luma_of(raster.clone(), &made.raster)?,
                change: made.change,
            });
        }
        context.allow(allowance(self.work_of(raster)));
        let _turn = self.networks.turn(context);
        match &self.work {
            Work::Gatys { built, .. } => {
                let (extractor, backend, styles) = built.get().ok_or_else(unprepared)?;
                let settings = Settings {
                    seed: context
                        .seed
                        .derive(&format!("stylize {}", self.settings.seed.value())),
                    ..self.settings.clone()
                };
                optimize::optimize(
                    extractor,
                    backend.device(),
                    raster,
                    styles,
                    &settings,
                    watch,
                )
            }
            Work::Adain { built, .. } => built.get().ok_or_else(unprepared)?.apply(raster),
            Work::Network(_) => Err(unprepared()),
        }
    }

    /// Multiplications and additions that a picture takes, about.
    fn work_of(&self, raster: &Raster) -> f64 {
        match &self.work {
            Work::Gatys { kind, .. } => {
                let per_pixel = match kind {
                    ExtractorKind::Vgg(_) => 1e6,
                    ExtractorKind::SqueezeNet(_) => 5e4,
                };
                let side = f64::from(self.settings.size);
                side * side * per_pixel * self.settings.iterations as f64 * 2.0
            }
            Work::Adain { built, .. } => {
                let each = built.get().map_or(1e6, Transfer::operations_per_pixel);
                each * raster.pixels() as f64
            }
            Work::Network(_) => 0.0,
        }
    }

    fn backend(&self) -> Result<Backend> {
        let lanes = self.networks.lanes()?;
        let first = lanes.backends().next().cloned();
        first.ok_or_else(|| Error::new(Code::Internal, "there is nothing to compute on"))
    }
}

fn decoded(styles: &[NamedStyle]) -> Result<Vec<Style>> {
    styles.iter().map(NamedStyle::decode).collect()
}

fn unprepared() -> Error {
    Error::new(Code::Internal, "a stylist was not prepared")
}

impl Stylist {
    /// Builds the networks, once.
    ///
    /// # Errors
    /// `model_error` when weights are missing or of another shape, `oom`, and those of devices.
    pub fn prepare(&self) -> Result<()> {
        match &self.work {
            Work::Gatys {
                kind,
                weights,
                styles,
                built,
            } => {
                if built.get().is_some() {
                    return Ok(());
                }
                // Gradients are taken by candle; on the CPU the engine computes its products.
                let backend = match self.backend()? {
                    Backend::Engine(engine) => {
                        gradient::use_kernel(engine.kernel())?;
                        Backend::cpu_tensors()
                    }
                    Backend::Tensors { device, .. } => Backend::Tensors {
                        device,
                        dtype: fonds_nn::train::DType::F32,
                    },
                };
                let extractor = kind.build(&weights.tensors, &backend)?;
                let styles = decoded(styles)?;
                built.get_or_init(|| (extractor, backend, styles));
            }
            Work::Adain {
                encoder,
                decoder,
                styles,
                settings,
                built,
            } => {
                if built.get().is_some() {
                    return Ok(());
                }
                let backend = self.backend()?;
                let coder = StyleTransfer {
                    encoder: load::load(
                        "the encoder of AdaIN",
                        &encoder.tensors,
                        &backend,
                        adain::ignore_in_encoder,
                        Encoder::new,
                    )?,
                    decoder: load::load(
                        "the decoder of AdaIN",
                        &decoder.tensors,
                        &backend,
                        |_| false,
                        Decoder::new,
                    )?,
                };
                let transfer =
                    Transfer::new(Arc::new(coder), backend, decoded(styles)?, *settings)?;
                built.get_or_init(|| transfer);
            }
            Work::Network(step) => step.prepare()?,
        }
        Ok(())
    }

    /// The format that comes out for a format that goes in.
    ///
    /// # Errors
    /// Those of a network that cannot take it.
    pub fn output(&self, input: PixelFormat) -> Result<PixelFormat> {
        match &self.work {
            Work::Network(step) => step.output(input),
            _ => Ok(self.settings.output(input)),
        }
    }

    pub(crate) fn cost(&self) -> Cost {
        let shared = match &self.work {
            Work::Network(step) => return step.cost(),
            Work::Gatys { kind, weights, .. } => {
                let per_pixel = match kind {
                    ExtractorKind::Vgg(_) => 7000,
                    ExtractorKind::SqueezeNet(_) => 2000,
                };
                let side = u64::from(self.settings.size);
                side * side * per_pixel + weights.parameter_count() as u64 * 8
            }
            Work::Adain { .. } => (7 << 20) * 4 * 5 + (512 << 20),
        };
        Cost {
            // The picture in sRGB, and the result.
            scratch_per_pixel: 8.0,
            shared,
            growth: 1.0,
        }
    }

    /// The network, for the record.
    pub fn model(&self) -> Option<ModelInfo> {
        self.info.clone()
    }

    /// What it computes on, once prepared.
    pub fn runs_on(&self) -> Option<RunsOn> {
        self.networks.runs_on()
    }
}

/// A stylist as a step of a pipeline.
#[derive(Debug)]
pub(crate) struct StylizeStep {
    pub(crate) stylist: Stylist,
    pub(crate) parameters: Value,
}

impl Step for StylizeStep {
    fn version(&self) -> u32 {
        1
    }

    fn act(&self) -> Act {
        Act::Generative
    }

    fn output(&self, input: PixelFormat) -> Result<PixelFormat> {
        self.stylist.output(input)
    }

    fn cost(&self) -> Cost {
        self.stylist.cost()
    }

    fn parameters(&self) -> Value {
        self.parameters.clone()
    }

    fn model(&self) -> Option<ModelInfo> {
        self.stylist.model()
    }

    fn prepare(&self) -> Result<()> {
        self.stylist.prepare()
    }

    fn runs_on(&self) -> Option<RunsOn> {
        self.stylist.runs_on()
    }

    fn apply(&self, raster: Raster, context: &StepContext<'_>) -> Result<Outcome> {
        let go = &mut |_: &Progress<'_>| Ok(ControlFlow::Continue(()));
        self.stylist.apply(&raster, context, go)
    }
}

/// A picture file in the style, with what is to be written into the new file.
#[derive(Debug)]
pub struct Stylized {
    /// The picture.
    pub raster: Raster,
    /// Its XMP label: what it is, what it came from, what was done.
    pub xmp: String,
    /// What was done.
    pub change: Change,
}

impl Stylist {
    /// The first page of a picture file in the style.
    ///
    /// # Errors
    /// Those of reading it, with its path, and of [`Stylist::apply`].
    pub fn apply_to_file(
        &self,
        path: &Path,
        seed: Seed,
        watch: &mut Watching<'_>,
    ) -> Result<Stylized> {
        let unreadable = |error| Error::from_io(error, Code::Unreadable, "the file cannot be read");
        let bytes = std::fs::read(path).map_err(|error| unreadable(error).at_path(path))?;
        let mut document =
            Document::open(&bytes, &Limits::default()).map_err(|error| error.at_path(path))?;
        let page = document.decode(0).map_err(|error| error.at_path(path))?;
        let metadata = match document.identity().format {
            Some(format) => metadata::read(&bytes, format).0,
            None => Metadata::default(),
        };
        let outcome = self.apply(&page.raster, &StepContext::new("stylize", seed), watch)?;
        let change = outcome.change.unwrap_or_default();
        let mut label = Label::from_original(&metadata);
        let source = metadata.digital_source_type.as_deref();
        let term = digital_source_type(&[ActKind::Generative], source);
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        label.digital_source_type = term.map(str::to_owned);
        label.creator_tool = Some(format!("fonds {}", env!("CARGO_PKG_VERSION")));
        label.notice = Some(format!(
            "Stylised derivative; the unaltered original is {name}"
        ));
        label.derived_from = Some(DerivedFrom {
            path: name,
            sha256: Digest::of(&bytes),
        });
        if let Some(model) = &self.info {
            label.ai_system_used = Some(model.name.clone());
            label.ai_system_version_used = Some(model.version.clone());
        }
        label.history = vec![HistoryEvent {
            action: "filtered".to_owned(),
            parameters: Some(format!("stylize: {}", change.summary)),
            changed: Some("/content".to_owned()),
            software_agent: self
                .info
                .as_ref()
                .map(|info| format!("{} {}", info.name, info.version)),
        }];
        Ok(Stylized {
            raster: outcome.raster,
            xmp: label.to_packet(),
            change,
        })
    }
}
