//! Derivatives and thumbnails of one page: converted, labelled, encoded to temporary files.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use fonds_catalog::{DerivativeRecord, Record, Status};
use fonds_core::{Code, Depth, Error, ObjectId, PixelFormat, Raster, Result};
use fonds_image::color;
use fonds_image::encode::{self, Embedded, Encoding};
use fonds_image::facts::Metadata;
use fonds_image::ops::Thumbnail;
use fonds_ingest::{Source, digest_file};

use crate::plan::{Node, PlannedOutput, Thumbnails};
use crate::run::chain::{Trace, acts};
use crate::run::label::Label;
use crate::run::names;
use crate::run::sidecar;
use crate::run::work::{Context, Job, Pending};
use crate::spec::{OnExisting, Profile, Unchanged, Use};

/// The output id of small pictures.
pub(crate) const SMALL: &str = "small";
/// The output id of thumbnails.
pub(crate) const THUMB: &str = "thumb";

/// What is known about the page that is being processed.
pub(super) struct PageContext<'a> {
    pub(super) context: &'a Context,
    pub(super) job: &'a Job,
    pub(super) source: &'a Source,
    /// The page's row with the human values applied: what labels say.
    pub(super) record: &'a Record,
    pub(super) metadata: &'a Metadata,
    pub(super) id: &'a ObjectId,
    /// The page's number in a file of several pages.
    pub(super) number: Option<u32>,
    /// What was converted on decoding.
    pub(super) notes: &'a [String],
}

/// One output of one page.
#[derive(Debug)]
pub(super) struct Derivative {
    pub(super) output: String,
    pub(super) thumbnail: bool,
    pub(super) ai_system: String,
    pub(super) ai_system_version: String,
    /// `None` when nothing had to be done to the picture and the plan writes no such copies.
    pub(super) written: Option<Written>,
}

/// A derivative in temporary files, with its row.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) row: DerivativeRecord,
    pub(super) files: Vec<Pending>,
}

/// Makes everything that the plan takes from this node.
pub(super) fn at_node(
    page: &PageContext<'_>,
    node: Node,
    raster: &Raster,
    traces: &[Trace],
    made: &mut Vec<Derivative>,
) -> Result<()> {
    let plan = &page.context.plan;
    if let Some(thumbnails) = plan
        .thumbnails
        .as_ref()
        .filter(|thumbs| thumbs.from == node)
    {
        thumbnails_of(page, thumbnails, raster, traces, made)?;
    }
    for output in plan.outputs.iter().filter(|output| output.from == node) {
        if output.mask {
            made.push(mask(page, output, raster, traces)?);
        } else {
            made.push(derivative(page, output, raster, traces)?);
        }
    }
    Ok(())
}

fn derivative(
    page: &PageContext<'_>,
    output: &PlannedOutput,
    raster: &Raster,
    traces: &[Trace],
) -> Result<Derivative> {
    let plan = &page.context.plan;
    let acts = acts(plan, output.from, traces);
    let (ai_system, ai_system_version) = models(page, output.from, traces);
    let mut derivative = Derivative {
        output: output.id.clone(),
        thumbnail: false,
        ai_system,
        ai_system_version,
        written: None,
    };
    if acts.is_empty() && plan.policy.unchanged == Unchanged::Skip {
        return Ok(derivative);
    }
    let path = names::derivative(output, &page.job.path, page.number, page.id);
    make_way(page, &path)?;
    let converted = convert(output, raster)?;
    let raster = converted.as_ref().unwrap_or(raster);
    let label = Label::new(page, output.from, &acts, traces, &derivative);
    derivative.written = Some(written(page, output, path, raster, &label, traces)?);
    Ok(derivative)
}

/// The mask of the damage that a step found: black where it found none, when pictures without
/// changes are written.
fn mask(
    page: &PageContext<'_>,
    output: &PlannedOutput,
    raster: &Raster,
    traces: &[Trace],
) -> Result<Derivative> {
    let found = match output.from {
        Node::Step(index) => traces[index].mask(),
        Node::Source => None,
    };
    let mut derivative = Derivative {
        output: output.id.clone(),
        thumbnail: false,
        ai_system: String::new(),
        ai_system_version: String::new(),
        written: None,
    };
    let none;
    let mask = match found {
        Some(mask) => mask,
        None if page.context.plan.policy.unchanged == Unchanged::Skip => return Ok(derivative),
        None => {
            none = Raster::new(raster.width(), raster.height(), PixelFormat::GRAY8);
            &none
        }
    };
    let path = names::derivative(output, &page.job.path, page.number, page.id);
    make_way(page, &path)?;
    let label = Label::of_mask(page, output.from, traces, &derivative);
    derivative.written = Some(written(page, output, path, mask, &label, traces)?);
    Ok(derivative)
}

/// A derivative with its sidecar, in temporary files.
fn written(
    page: &PageContext<'_>,
    output: &PlannedOutput,
    path: String,
    raster: &Raster,
    label: &Label,
    traces: &[Trace],
) -> Result<Written> {
    let packet = label.packet();
    let file = write(page, &path, raster, output.encoding, &packet)?;
    let format = output.encoding.fit(raster.format());
    let row = DerivativeRecord {
        filename: page.record.filename.clone(),
        page: page.number,
        output_id: output.id.clone(),
        path,
        sha256: Some(file.digest),
        usage: output.purpose.uri().to_owned(),
        width: Some(raster.width()),
        height: Some(raster.height()),
        digital_source_type: label.source_type().unwrap_or_default().to_owned(),
        status: if refused(page, output.from, traces) {
            Status::Warning
        } else {
            Status::Ok
        },
        review: None,
    };
    let made = sidecar::Made {
        output,
        raster,
        row: &row,
        label,
        format,
    };
    let text = sidecar::text(page, &made, traces)?;
    let sidecar = write_text(page, &names::sidecar(&row.path), text.as_bytes())?;
    Ok(Written {
        row,
        files: vec![file, sidecar],
    })
}

fn refused(page: &PageContext<'_>, node: Node, traces: &[Trace]) -> bool {
    let chain = page.context.plan.chain(node);
    chain
        .iter()
        .any(|&index| matches!(traces[index].verdict, super::chain::Verdict::Refused { .. }))
}

/// Names and versions of the networks that acted, each joined by `;`.
fn models(page: &PageContext<'_>, node: Node, traces: &[Trace]) -> (String, String) {
    let plan = &page.context.plan;
    let acted = plan
        .chain(node)
        .into_iter()
        .filter(|&index| traces[index].acted());
    let models: Vec<_> = acted
        .filter_map(|index| plan.steps[index].step.model())
        .collect();
    let join = |texts: Vec<String>| texts.join(";");
    let digest = |sha256: &str| sha256.chars().take(12).collect::<String>();
    (
        join(models.iter().map(|model| model.name.clone()).collect()),
        join(
            models
                .iter()
                .map(|m| format!("{} {}", m.version, digest(&m.sha256)))
                .collect(),
        ),
    )
}

fn thumbnails_of(
    page: &PageContext<'_>,
    thumbnails: &Thumbnails,
    raster: &Raster,
    traces: &[Trace],
    made: &mut Vec<Derivative>,
) -> Result<()> {
    let encoding = Encoding::Jpeg {
        quality: thumbnails.quality,
        subsampling: encode::Subsampling::Quarter,
        progressive: false,
    };
    let plan = &page.context.plan;
    let acts = acts(plan, thumbnails.from, traces);
    // The thumbnail is made from the small picture: a twentieth of the pixels of a scan.
    let mut shown = None;
    let mut sizes = [
        (SMALL, "small", "sm", thumbnails.small),
        (THUMB, "thumbs", "th", thumbnails.thumb),
    ];
    sizes.sort_by_key(|size| std::cmp::Reverse(size.3));
    for (output, folder, suffix, size) in sizes {
        let from = shown.as_ref().unwrap_or(raster);
        let small = Thumbnail { size }.of(from)?.unwrap_or_else(|| from.clone());
        let small = if shown.is_none() {
            color::to_srgb(small)?.with_icc(None)
        } else {
            small
        };
        let (ai_system, ai_system_version) = models(page, thumbnails.from, traces);
        let mut derivative = Derivative {
            output: output.to_owned(),
            thumbnail: true,
            ai_system,
            ai_system_version,
            written: None,
        };
        let label = Label::new(page, thumbnails.from, &acts, traces, &derivative);
        let path = names::thumbnail(page.id, folder, suffix);
        make_way(page, &path)?;
        let file = write(page, &path, &small, encoding, &label.packet())?;
        let row = DerivativeRecord {
            filename: page.record.filename.clone(),
            page: page.number,
            output_id: output.to_owned(),
            path,
            sha256: Some(file.digest),
            usage: Use::ThumbnailImage.uri().to_owned(),
            width: Some(small.width()),
            height: Some(small.height()),
            digital_source_type: label.source_type().unwrap_or_default().to_owned(),
            status: Status::Ok,
            review: None,
        };
        derivative.written = Some(Written {
            row,
            files: vec![file],
        });
        made.push(derivative);
        shown = Some(small);
    }
    Ok(())
}

/// Brings a picture into the output's depth and profile; `None` when it is in both already.
fn convert(output: &PlannedOutput, raster: &Raster) -> Result<Option<Raster>> {
    let depth = match output.bit_depth {
        Some(8) => Depth::U8,
        Some(_) => Depth::U16,
        None => raster.format().depth,
    };
    let format = PixelFormat {
        depth,
        ..raster.format()
    };
    let to_srgb = output.profile == Profile::Srgb && raster.icc().is_some();
    if format == raster.format() && !to_srgb {
        return Ok(None);
    }
    let mut converted = raster.clone();
    if to_srgb {
        converted = color::to_srgb(converted)?;
    }
    Ok(Some(encode::convert(converted, format)))
}

/// Refuses to write over a file that no earlier run of this output folder recorded for this item.
fn make_way(page: &PageContext<'_>, path: &str) -> Result<()> {
    let context = page.context;
    if context.plan.policy.on_existing == OnExisting::Overwrite
        || page.job.owned.iter().any(|owned| owned == path)
        || context.leftovers.contains(path)
        || !context.output.join(path).exists()
    {
        return Ok(());
    }
    let message = format!("`{path}` exists and was not written for this file");
    let hint = "move it away, or set on_existing = \"overwrite\" under [run]";
    Err(Error::new(Code::NameCollision, message).hint(hint))
}

fn write(
    page: &PageContext<'_>,
    path: &str,
    raster: &Raster,
    encoding: Encoding,
    packet: &str,
) -> Result<Pending> {
    let embedded = Embedded {
        xmp: Some(packet),
        copyright: page.metadata.rights.as_deref(),
        artist: page.metadata.creator.as_deref(),
        ..Embedded::default()
    };
    let (temp, file) = create(page, path)?;
    let mut writer = BufWriter::with_capacity(256 << 10, file);
    let encoded = encode::encode(raster, &encoding, &embedded, &mut writer);
    finish(path, temp, writer, encoded)
}

fn write_text(page: &PageContext<'_>, path: &str, text: &[u8]) -> Result<Pending> {
    let (temp, file) = create(page, path)?;
    let mut writer = BufWriter::new(file);
    let written = writer
        .write_all(text)
        .map_err(|error| cannot_write(error, path));
    finish(path, temp, writer, written)
}

fn finish(
    path: &str,
    temp: PathBuf,
    writer: BufWriter<File>,
    written: Result<()>,
) -> Result<Pending> {
    let flushed = writer
        .into_inner()
        .map_err(|error| cannot_write(error.into_error(), path));
    let digest = match (&written, &flushed) {
        (Ok(()), Ok(_)) => digest_file(&temp).map(|fingerprint| fingerprint.digest),
        _ => Ok(fonds_core::Digest::of(b"")),
    };
    match (written, flushed, digest) {
        (Ok(()), Ok(file), Ok(digest)) => Ok(Pending {
            temp,
            path: path.to_owned(),
            digest,
            file,
        }),
        (written, flushed, digest) => {
            let removed = std::fs::remove_file(&temp);
            drop(removed);
            written.and(flushed.map(drop)).and(digest.map(drop))?;
            Err(Error::new(Code::Internal, "a write failed without an error").at_path(path))
        }
    }
}

/// A new file beside the place where it will get its final name.
fn create(page: &PageContext<'_>, path: &str) -> Result<(PathBuf, File)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let target = page.context.output.join(path);
    let folder = target
        .parent()
        .expect("outputs lie in folders below the output root");
    std::fs::create_dir_all(folder).map_err(|error| cannot_write(error, path))?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let temp = folder.join(format!("{}{}-{number}", super::PART, page.context.run_id));
    let file = OpenOptions::new()
        .write(true)
        .read(true)
        .create_new(true)
        .open(&temp);
    Ok((temp, file.map_err(|error| cannot_write(error, path))?))
}

fn cannot_write(error: std::io::Error, path: &str) -> Error {
    Error::from_io(error, Code::WriteFailed, "cannot be written").at_path(path)
}
