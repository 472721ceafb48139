//! `run.repair`: damaged places found and filled; nothing else changes.

mod masks;
#[cfg(feature = "restore")]
mod networks;

use fonds_core::{Code, Error, Outcome, PixelFormat, Raster, Result};
use fonds_image::ops::repair::{Damage, FillMethod, Inpaint, Mask};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::masks::Masks;
#[cfg(feature = "restore")]
use self::networks::Net;
use super::Context;
use super::classical::step_args;
use crate::reader::Args;
use crate::registry::StepKind;
use crate::step::{Act, Cost, ModelInfo, RunsOn, Step, StepContext};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Detect {
    Classical,
    Network,
    File,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fill {
    Patch,
    Diffusion,
    Network,
}

step_args! {
    RepairArgs {
        /// Who finds the damage: "classical" (scratches, hairs and dust on even ground), "network"
        /// (`model`), or "file" (pictures of masks in the folder `masks`).
        detect: Detect = Detect::Classical,
        /// With detect = "file", the folder of the masks, relative to the pipeline's: for `a/b.tif`
        /// the picture a/b.tif.png or a/b.png, for its second page a/b.tif.p0002.png. Light is
        /// damaged. A picture without a mask is left alone.
        masks: Option<String> = None,
        /// With detect = "network", the weights of the network that finds damage.
        model: Option<String> = None,
        /// What the damage is filled with: "patch" (pieces from around it), "diffusion" (its rim,
        /// carried inwards: fast, smooth, for thin damage), or "network" (`fill_model`).
        fill: Fill = Fill::Patch,
        /// With fill = "network", the weights of the network that fills.
        fill_model: Option<String> = None,
        /// How little damage may stand out to be found, 0 to 1; for a network, one minus the
        /// probability that it must give.
        sensitivity: f64 = 0.5,
        /// Pictures with fewer dots of damage than this are left alone by "classical", 1 to 10000:
        /// catch-lights and birds look like dust, but do not come in numbers.
        min_pieces: u32 = Damage::default().min_pieces,
        /// Pixels that the mask is grown by before it is filled, 0 to 32: the rims of damage are
        /// soft.
        grow: u32 = 1,
        /// The largest share of a picture that is filled, 0 to 0.9; a picture with more damage fails.
        max_share: f64 = Inpaint::default().max_share,
        /// Side of a tile of the networks in pixels; chosen by what they need of memory when absent.
        tile: Option<u32> = None,
    }
}

pub(super) fn kind(context: &Context) -> StepKind {
    let summary =
        "Find scratches, dust and other damage and fill it; nothing else changes, to the bit";
    let context = context.clone();
    StepKind::new("repair", summary, RepairArgs::params(), move |args| {
        let places = [
            args.place("model"),
            args.place("fill_model"),
            args.place("masks"),
        ];
        let keys = RepairArgs::read(args);
        build(&context, &keys, args, places).map(|repair| Box::new(repair) as Box<dyn Step>)
    })
}

fn build(
    context: &Context,
    keys: &RepairArgs,
    args: &mut Args<'_, '_>,
    [model, fill_model, masks]: [Option<usize>; 3],
) -> Result<Repair> {
    check(keys)?;
    let mut parameters = keys.json();
    let blame = |args: &mut Args<'_, '_>, place: Option<usize>| {
        if let Some(place) = place {
            args.blame(place);
        }
    };
    let finder = match (keys.detect, &keys.masks) {
        (Detect::Classical, _) => Finder::Classical(Damage {
            sensitivity: keys.sensitivity,
            min_pieces: keys.min_pieces,
        }),
        (Detect::File, folder) => {
            blame(args, masks);
            let folder = folder.as_deref().unwrap_or_default();
            let masks = Masks::open(&context.path(folder), folder)?;
            // Other masks, other results.
            parameters["masks_sha256"] = json!(masks.digest().to_string());
            Finder::File(masks)
        }
        (Detect::Network, _) => {
            blame(args, model);
            Finder::network(context, keys)?
        }
    };
    let filler = match keys.fill {
        Fill::Patch => Filler::Classical(FillMethod::Patch),
        Fill::Diffusion => Filler::Classical(FillMethod::Diffusion),
        Fill::Network => {
            blame(args, fill_model);
            Filler::network(context, keys)?
        }
    };
    for (key, model) in [("model", finder.model()), ("fill_model", filler.model())] {
        if let Some(model) = model {
            parameters[format!("{key}_sha256")] = json!(model.sha256);
        }
    }
    Ok(Repair {
        finder,
        filler,
        #[cfg(feature = "restore")]
        sensitivity: keys.sensitivity,
        grow: keys.grow,
        max_share: keys.max_share,
        parameters,
    })
}

fn check(keys: &RepairArgs) -> Result<()> {
    Damage {
        sensitivity: keys.sensitivity,
        min_pieces: keys.min_pieces,
    }
    .validate()?;
    Inpaint {
        max_share: keys.max_share,
        ..Inpaint::default()
    }
    .validate()?;
    let refused = |message: String, hint: &str| {
        Err(Error::new(Code::InvalidRequest, message).hint(hint.to_owned()))
    };
    if keys.grow > 32 {
        let message = format!("`grow` is {}, allowed is 0 to 32", keys.grow);
        return Err(Error::new(Code::InvalidRequest, message));
    }
    let pairs = [
        (
            "masks",
            "detect",
            "file",
            &keys.masks,
            keys.detect == Detect::File,
        ),
        (
            "model",
            "detect",
            "network",
            &keys.model,
            keys.detect == Detect::Network,
        ),
        (
            "fill_model",
            "fill",
            "network",
            &keys.fill_model,
            keys.fill == Fill::Network,
        ),
    ];
    for (key, of, word, value, wanted) in pairs {
        match (wanted, value) {
            (true, None) => {
                let hint = format!("add {key} = \"…\"");
                return refused(format!("{of} = \"{word}\" needs `{key}`"), &hint);
            }
            (false, Some(_)) => {
                let hint = format!("write {of} = \"{word}\", or leave `{key}` out");
                return refused(
                    format!("`{key}` is of no use without {of} = \"{word}\""),
                    &hint,
                );
            }
            _ => {}
        }
    }
    if keys.tile.is_some_and(|side| !(16..=16_384).contains(&side)) {
        return refused(
            "`tile` is out of range".to_owned(),
            "allowed is 16 to 16384",
        );
    }
    Ok(())
}

/// Who finds the damage.
#[derive(Debug)]
enum Finder {
    Classical(Damage),
    File(Masks),
    #[cfg(feature = "restore")]
    Network(Box<Net>),
}

/// What fills it.
#[derive(Debug)]
enum Filler {
    Classical(FillMethod),
    #[cfg(feature = "restore")]
    Network(Box<Net>),
}

#[cfg(feature = "restore")]
impl Finder {
    fn network(context: &Context, keys: &RepairArgs) -> Result<Self> {
        Net::detector(context, keys.model.as_deref(), keys.tile)
            .map(|net| Self::Network(Box::new(net)))
    }
}

#[cfg(feature = "restore")]
impl Filler {
    fn network(context: &Context, keys: &RepairArgs) -> Result<Self> {
        Net::filler(context, keys.fill_model.as_deref(), keys.tile)
            .map(|net| Self::Network(Box::new(net)))
    }
}

#[cfg(not(feature = "restore"))]
impl Finder {
    fn network(_: &Context, _: &RepairArgs) -> Result<Self> {
        Err(super::no_networks())
    }
}

#[cfg(not(feature = "restore"))]
impl Filler {
    fn network(_: &Context, _: &RepairArgs) -> Result<Self> {
        Err(super::no_networks())
    }
}

impl Finder {
    fn model(&self) -> Option<ModelInfo> {
        match self {
            #[cfg(feature = "restore")]
            Self::Network(net) => Some(net.model.info().clone()),
            Self::Classical(_) | Self::File(_) => None,
        }
    }
}

impl Filler {
    fn model(&self) -> Option<ModelInfo> {
        match self {
            #[cfg(feature = "restore")]
            Self::Network(net) => Some(net.model.info().clone()),
            Self::Classical(_) => None,
        }
    }
}

#[derive(Debug)]
struct Repair {
    finder: Finder,
    filler: Filler,
    #[cfg(feature = "restore")]
    sensitivity: f64,
    grow: u32,
    max_share: f64,
    parameters: Value,
}

impl Repair {
    fn mask(&self, raster: &Raster, context: &StepContext<'_>) -> Result<Mask> {
        let mut mask = match &self.finder {
            Finder::Classical(damage) => damage.find(raster)?,
            Finder::File(masks) => masks.of(raster, context)?,
            #[cfg(feature = "restore")]
            Finder::Network(net) => net.find(raster, self.sensitivity, context)?,
        };
        mask.grow(self.grow);
        Ok(mask)
    }

    #[cfg(feature = "restore")]
    fn networks(&self) -> impl Iterator<Item = &Net> {
        let finder = match &self.finder {
            Finder::Network(net) => Some(&**net),
            _ => None,
        };
        let filler = match &self.filler {
            Filler::Network(net) => Some(&**net),
            Filler::Classical(_) => None,
        };
        finder.into_iter().chain(filler)
    }
}

impl Step for Repair {
    fn version(&self) -> u32 {
        1
    }

    /// A network that fills makes content up; pieces and rims of the picture itself do not, and
    /// finding damage changes nothing.
    fn act(&self) -> Act {
        match self.filler {
            Filler::Classical(_) => Act::Enhancement,
            #[cfg(feature = "restore")]
            Filler::Network(_) => Act::Generative,
        }
    }

    fn output(&self, input: PixelFormat) -> Result<PixelFormat> {
        Ok(input)
    }

    fn cost(&self) -> Cost {
        let cost = Cost {
            // The luma, details of both signs, the mask, what is left of it, and that of the record.
            scratch_per_pixel: 7.0,
            // Windows: a few dozen bytes a pixel of some 400 × 400, for each thread.
            shared: 256 << 20,
            ..Cost::IN_PLACE
        };
        #[cfg(feature = "restore")]
        let cost = self.networks().fold(cost, |cost, net| Cost {
            // The picture in sRGB and as it was before.
            scratch_per_pixel: cost.scratch_per_pixel + 12.0,
            shared: cost.shared.saturating_add(net.model.memory(1)),
            ..cost
        });
        cost
    }

    fn parameters(&self) -> Value {
        self.parameters.clone()
    }

    /// The network that fills, else the one that finds.
    fn model(&self) -> Option<ModelInfo> {
        self.filler.model().or_else(|| self.finder.model())
    }

    fn prepare(&self) -> Result<()> {
        #[cfg(feature = "restore")]
        for net in self.networks() {
            net.model.network()?;
        }
        Ok(())
    }

    fn runs_on(&self) -> Option<RunsOn> {
        #[cfg(feature = "restore")]
        {
            self.networks().find_map(|net| net.model.runs_on())
        }
        #[cfg(not(feature = "restore"))]
        {
            None
        }
    }

    fn makes_mask(&self) -> bool {
        true
    }

    fn apply(&self, raster: Raster, context: &StepContext<'_>) -> Result<Outcome> {
        let mask = self.mask(&raster, context)?;
        match &self.filler {
            Filler::Classical(method) => Inpaint {
                method: *method,
                max_share: self.max_share,
                seed: context.seed.value(),
            }
            .apply(raster, &mask),
            #[cfg(feature = "restore")]
            Filler::Network(net) => net.fill(raster, &mask, self.max_share, context),
        }
    }
}
