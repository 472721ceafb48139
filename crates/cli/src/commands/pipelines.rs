//! `fonds pipelines`: the shipped pipelines and training files, listed or printed.

use fonds_core::{Code, Error};

use crate::exit::{Exit, Outcome};
use crate::{report, shipped};

pub(crate) fn pipelines(name: Option<&str>) -> Outcome {
    let Some(name) = name else {
        for (name, text) in shipped::PIPELINES {
            report::line(&format!("{name:<20} {}", shipped::description(text)));
        }
        report::line("\nFor training:");
        for (name, text) in shipped::TRAININGS {
            report::line(&format!("{name:<20} {}", shipped::description(text)));
        }
        report::line(
            "\n`fonds pipelines NAME` prints one; `fonds run NAME FOLDER --out OUT` runs it, and\n\
             `fonds train NAME --data FOLDER` one of those for training.",
        );
        return Ok(Exit::Done);
    };
    let found = shipped::all().find(|(shipped, _)| *shipped == name);
    let (_, text) = found.ok_or_else(|| {
        Error::new(
            Code::InvalidRequest,
            format!("there is no shipped pipeline `{name}`"),
        )
        .hint("`fonds pipelines` lists them")
    })?;
    report::raw(text);
    Ok(Exit::Done)
}
